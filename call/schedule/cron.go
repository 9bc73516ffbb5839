package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const longestCron = 256 // bytes

// cronRule is a cron expression: sets of the readings that it allows, with a bit
// for each number.
type cronRule struct {
	minute, hour, day, month, weekday uint64
}

// star is the bit that the parser sets in a field that does not restrict.
const star = 1 << 63

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// parseCron reads an expression of five fields, or one of @yearly, @monthly,
// @weekly, @daily and @hourly. Only the syntax is the parser's: its own clock
// skips the times that clocks skip, and repeats those that they repeat.
func parseCron(expr string) (rule cronRule, err error) {
	defer func() {
		if v := recover(); v != nil { // the parser is known to panic
			err = fmt.Errorf("%w: cron expression %q", ErrInvalid, expr)
		}
	}()
	expr = strings.TrimSpace(expr)
	switch {
	case len(expr) > longestCron:
		return cronRule{}, fmt.Errorf("%w: cron expression has more than %d bytes", ErrInvalid, longestCron)
	case strings.Contains(expr, "TZ="):
		return cronRule{}, fmt.Errorf("%w: a zone in a cron expression: it belongs into Zone", ErrInvalid)
	case strings.HasPrefix(expr, "@every"):
		return cronRule{}, fmt.Errorf("%w: @every states no times of the clock", ErrInvalid)
	}
	parsed, err := cronParser.Parse(expr)
	if err != nil {
		return cronRule{}, fmt.Errorf("%w: cron expression: %w", ErrInvalid, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return cronRule{}, fmt.Errorf("%w: cron expression %q", ErrInvalid, expr)
	}
	return cronRule{spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow}, nil
}

// horizon is how many days ahead a rule is looked through: a leap day may be
// eight years away, since 2100 is no leap year.
const horizon = 8*366 + 1

// from returns the first reading at or after wall that the rule states. It
// reports false if there is none, which is when it states a day that does not
// exist.
func (r cronRule) from(wall time.Time) (time.Time, bool) {
	if up := wall.Truncate(time.Minute); up.Before(wall) {
		wall = up.Add(time.Minute)
	}
	year, month, day := wall.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	hour, minute := wall.Hour(), wall.Minute()
	for range horizon {
		if r.on(midnight) {
			if h, m, ok := r.at(hour, minute); ok {
				return midnight.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute), true
			}
		}
		midnight = midnight.Add(24 * time.Hour)
		hour, minute = 0, 0
	}
	return time.Time{}, false
}

// on reports whether the rule states times of this day. If it restricts both the
// days of the month and those of the week, one of the two is enough, as POSIX
// has it for crontab.
func (r cronRule) on(day time.Time) bool {
	_, month, d := day.Date()
	if r.month&(1<<month) == 0 {
		return false
	}
	byDay, byWeekday := r.day&(1<<d) != 0, r.weekday&(1<<day.Weekday()) != 0
	if r.day&star != 0 || r.weekday&star != 0 {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// at returns the first time of day from hour and minute on.
func (r cronRule) at(hour, minute int) (h, m int, ok bool) {
	const all = star - 1
	if r.hour&(1<<hour) != 0 {
		if rest := r.minute & all >> minute; rest != 0 {
			return hour, minute + bits.TrailingZeros64(rest), true
		}
	}
	rest := r.hour & all >> (hour + 1)
	if rest == 0 {
		return 0, 0, false
	}
	return hour + 1 + bits.TrailingZeros64(rest), bits.TrailingZeros64(r.minute & all), true
}
