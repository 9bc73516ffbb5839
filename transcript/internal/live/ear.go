package live

import (
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	// likely is the likelihood, as audio.Detector knows it, below which sound is
	// no speech. A detector that decides by itself would leave soft speakers out.
	likely = 0.3
	// tail is how long sound may go on after a final result that is about it, and
	// doubt how long a service may take to show that there is a word.
	tail  = 300 * time.Millisecond
	doubt = time.Second
)

// ear finds out where one track is silent.
type ear struct {
	detector *audio.Detector
	activity []audio.Activity // not used, but asked for
	loud     int64            // end of what may be speech
}

// listen makes an ear for each track, if they are needed.
func (o *sender) listen() error {
	cfg := &o.session.cfg
	for range cfg.Tracks {
		if !cfg.Silent {
			return nil
		}
		d, err := audio.NewDetector(audio.DetectorConfig{Rate: cfg.Info.Format.Rate})
		if err != nil {
			return err
		}
		o.ears = append(o.ears, &ear{detector: d, loud: o.base})
	}
	return nil
}

// hush settles what is silent of the sound that p is the end of.
func (o *sender) hush(p []byte) {
	if len(o.ears) == 0 {
		return
	}
	t := o.session.tape
	o.pcm = audio.AppendDecode(o.pcm[:0], o.session.cfg.Info.Format.Encoding, p)
	for track, e := range o.ears {
		e.hear(o.pcm, track, len(o.ears), t.Position(20*time.Millisecond), o.pos)
	}
	o.session.mu.Lock()
	defer o.session.mu.Unlock()
	for track, e := range o.ears {
		o.session.voices[track].quiet(span{t.Time(e.loud) - tail, t.Time(o.pos) - doubt})
	}
}

// hear judges the samples of a track, of which the last are at end.
func (e *ear) hear(all []int16, track, tracks int, hop, end int64) {
	n := len(all) / tracks
	var one [960]int16 // 20 ms of the highest rate
	for i := 0; i < n; {
		k := 0
		for ; k < int(hop) && i < n; k++ {
			one[k] = all[i*tracks+track]
			i++
		}
		e.activity = e.detector.Append(e.activity[:0], one[:k])
		if e.detector.Likelihood() >= likely {
			e.loud = end - int64(n-i)
		}
	}
}
