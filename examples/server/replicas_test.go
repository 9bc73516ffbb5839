package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Of two servers on one PostgreSQL the first has twenty live calls, and all their
// webhooks and sockets arrive at the second. A call is hung up there. Then the first
// is killed: the second settles all, dials none again, and whoever asks again for a
// call is told of the same one.
func TestServerTakesOverFromOneThatIsKilled(t *testing.T) {
	t.Parallel()
	const (
		calls   = 20
		patient = 2 * time.Minute // a busy machine
		secret  = "what the servers know each other by"
	)
	var k kills
	first := newVictim(t, build(t), &k)
	defer first.close()
	second := &victim{
		t: t, binary: first.binary, dir: first.dir, address: freeAddress(t),
		carrier: first.carrier, rest: first.rest, client: first.client,
	}
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: second.address})
	}})
	defer balancer.Close()
	database := pgtest.Start(t).Schema(t) // the server ends with this process
	for _, v := range []*victim{first, second} {
		v.env = []string{
			"DATABASE_URL=" + database, "PUBLIC_URL=" + balancer.URL, "CLUSTER_ADDRESS=http://" + v.address,
			"CLUSTER_SECRET=" + secret, "MAX_DURATION=10m", "RING_TIMEOUT=60s",
		}
		v.start()
	}
	defer second.kill()

	all := make([]*asked, calls)
	for i := range all {
		all[i] = &asked{key: fmt.Sprint("call ", i), number: fmt.Sprintf("+1202555%04d", 1000+i)}
		var err error
		if all[i].id, err = first.place(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	reaches := func(v *victim, id string, state call.State) call.State {
		ctx, cancel := context.WithTimeout(t.Context(), patient)
		defer cancel()
		is, err := v.reaches(ctx, id, state)
		if err != nil {
			first.kill() // so that their logs are complete
			second.kill()
			t.Fatalf("%s is %v, %v\n%s\n%s", id, is, err, first.log.String(), second.log.String())
		}
		return is
	}
	for _, a := range all {
		if is := reaches(second, a.id, call.Active); is != call.Active {
			t.Errorf("%s is %v, before anybody ended it", a.id, is)
		}
	}

	hungUp := time.Now()
	req, err := http.NewRequest("POST", "http://"+second.address+"/api/calls/"+all[0].id+"/disconnect", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.do(req, &struct{}{}); err != nil {
		t.Errorf("hang-up at the other: %v", err)
	}
	if is := reaches(first, all[0].id, call.Completed); is != call.Completed {
		t.Errorf("hung up: %v", is)
	}
	t.Logf("a call of the first is hung up at the second, and over in %v", time.Since(hungUp).Round(time.Millisecond))

	first.kill()
	begun := time.Now()
	for _, a := range all {
		reaches(second, a.id, call.Completed)
	}
	took := time.Since(begun)
	for _, a := range all {
		if id, err := second.place(a); err != nil || id != a.id {
			t.Errorf("asked for again: %s is %s, %v", a.id, id, err)
		}
	}
	dials := make(map[string]int)
	doubles, left := 0, 0
	for _, k := range first.carrier.Calls() {
		if dials[string(k.To)]++; dials[string(k.To)] > 1 {
			doubles++
		}
		if !k.Status.Final() && k.Direction == telephony.Outbound {
			left++
		}
	}
	if len(dials) != calls || doubles != 0 || left != 0 {
		t.Errorf("%d numbers dialed, %d of them twice; %d legs left", len(dials), doubles, left)
	}
	t.Logf("%d live calls of a server that was killed are settled by the other in %v; double dials %d, legs left %d",
		calls-1, took.Round(time.Millisecond), doubles, left)
}
