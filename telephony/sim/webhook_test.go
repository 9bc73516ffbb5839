package sim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestVoiceURLs(t *testing.T) {
	xml := func(w http.ResponseWriter, doc string) {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, doc)
	}
	const twoSeconds = `<Response><Pause length="2"/></Response>`
	tests := []struct {
		name string
		url  string
		page func(w http.ResponseWriter, r *http.Request, n int)
		code int // of the error; 0 if the call lasts two seconds
		n    int // requests
	}{
		{"a redirect is followed with a GET", "/answer", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Redirect(w, r, "/elsewhere?x=1", http.StatusFound)
			} else if r.Method == http.MethodGet && r.Form.Get("CallSid") != "" {
				xml(w, twoSeconds)
			}
		}, 0, 2},
		{"a 307 is followed with the same POST", "/answer", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			} else if r.Method == http.MethodPost && r.PostForm.Get("CallSid") != "" {
				xml(w, twoSeconds)
			}
		}, 0, 2},
		{"redirects have an end", "/answer", func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "/answer", http.StatusFound)
		}, 11215, 11},
		{"an error is not tried again", "/answer", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(http.StatusBadGateway)
		}, 11200, 1},
		{"unless the URL says so", "/answer#rc=3&rp=5xx", func(w http.ResponseWriter, _ *http.Request, n int) {
			if n < 3 {
				w.WriteHeader(http.StatusBadGateway)
			} else {
				xml(w, twoSeconds)
			}
		}, 0, 3},
		{"not found", "/answer", func(w http.ResponseWriter, r *http.Request, _ int) { http.NotFound(w, r) }, 11200, 1},
		{"not XML", "/answer", func(w http.ResponseWriter, _ *http.Request, _ int) { w.Write([]byte(`{"a":1}`)) }, 12300, 1},
		{"too long", "/answer", func(w http.ResponseWriter, _ *http.Request, _ int) {
			xml(w, twoSeconds+strings.Repeat(" ", 1<<20))
		}, 12100, 1},
		{"a time limit of its own", "/answer#tt=1000", func(_ http.ResponseWriter, _ *http.Request, _ int) { time.Sleep(2 * time.Second) }, 11205, 1},
		{"cookies are kept", "/answer", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
				xml(w, `<Response><Redirect/></Response>`)
			} else if c, err := r.Cookie("a"); err == nil && c.Value == "b" {
				xml(w, twoSeconds)
			}
		}, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				n := 0
				a.page = func(w http.ResponseWriter, r *http.Request) bool {
					n++
					tt.page(w, r, n)
					return true
				}
				a.place("StatusCallback", "", "Url", a.base+tt.url)
				talk, err := a.carrier.Phone(them).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				<-talk.Done()
				time.Sleep(5 * time.Second)
				settle()
				if n != tt.n {
					t.Errorf("%d requests; want %d", n, tt.n)
				}
				if tt.code == 0 && (talk.Err() != nil || talk.Duration() != 2*time.Second) {
					t.Errorf("ended after %v: %v", talk.Duration(), talk.Err())
				}
				if tt.code != 0 && (talk.Err() == nil || a.carrier.Warnings()[tt.code] != 1) {
					t.Errorf("error %v, warnings %v; want %d", talk.Err(), a.carrier.Warnings(), tt.code)
				}
			})
		})
	}
}

func TestVoiceURLWithNobodyThere(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.Assign(us, "http://nobody.test/answer")
		if _, err := a.carrier.Phone(them).Call(t.Context(), us); err == nil || !strings.Contains(err.Error(), "11205") {
			t.Errorf("Call: %v; want an error with 11205", err)
		}
	})
}

func TestPlayAFile(t *testing.T) {
	for _, hertz := range []int{8000, 16000} {
		t.Run(fmt.Sprint(hertz), func(t *testing.T) {
			path := t.TempDir() + "/a.wav"
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			wav, err := audio.NewWAVWriter(f, audio.Format{Encoding: audio.PCM16, Rate: hertz}, 1)
			if err != nil {
				t.Fatal(err)
			}
			pcm := ramp(hertz / 2)
			if _, err := wav.WritePCM(pcm); err != nil {
				t.Fatal(err)
			}
			if err := wav.Close(); err != nil {
				t.Fatal(err)
			}
			f.Close()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.refuse = "/a.wav"
				a.file = data
				a.answer = func(url.Values) string { return `<Response><Play loop="2">/a.wav</Play></Response>` }
				a.place()
				talk, err := a.carrier.Phone(them).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				<-talk.Done()
				// A resampler adds its tail, 3 ms each time.
				if d := talk.Duration(); d < time.Second || d > 1010*time.Millisecond || talk.Err() != nil {
					t.Errorf("played for %v: %v", d, talk.Err())
				}
				if hertz == 8000 && !slices.Equal(talk.Heard(), append(pcm[:len(pcm):len(pcm)], pcm...)) {
					t.Error("the phone did not hear the file twice")
				}
			})
		})
	}
	t.Run("that is not there", func(t *testing.T) {
		inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
			a.refuse = "/a.wav"
			a.answer = func(url.Values) string { return `<Response><Play>/a.wav</Play></Response>` }
			a.place()
			talk, err := a.carrier.Phone(them).NextTalk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			<-talk.Done()
			if talk.Err() == nil || !strings.Contains(talk.Err().Error(), "HTTP 404") {
				t.Errorf("error %v; want HTTP 404", talk.Err())
			}
		})
	})
}

func TestSetFaultsWorksForWhatFollows(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
		a.place()
		settle()
		a.carrier.SetFaults(sim.Faults{Create: func(int) sim.CreateFault { return sim.Refused(400, 21216) }})
		if status, v := a.rest("POST", "/Calls.json", a.order()); status != 400 || v["code"] != 21216.0 {
			t.Errorf("%d, %v; want 400, 21216", status, v)
		}
		a.carrier.SetFaults(sim.Faults{})
		a.place()
		settle()
	})
}
