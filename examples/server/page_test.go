package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/internal/browsertest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

var (
	screenshots = flag.String("screenshots", "", "a folder for what the tests of the page see")
	manyCalls   = flag.Int("calls", 5, "how many calls live while the page is opened")
)

// ear lets a test hear what a page plays, and lets its microphone through as it is:
// hears(hz) tells whether a tone is among the loudest.
const ear = `
	const connect = AudioNode.prototype.connect;
	let analyser = null;
	AudioNode.prototype.connect = function (to, ...rest) {
		if (to instanceof AudioDestinationNode) {
			analyser = new AnalyserNode(this.context, { fftSize: 2048, smoothingTimeConstant: 0 });
			connect.call(this, analyser);
		}
		return connect.call(this, to, ...rest);
	};
	globalThis.hears = (hz) => {
		if (!analyser) return false;
		const bins = new Float32Array(analyser.frequencyBinCount);
		analyser.getFloatFrequencyData(bins);
		const at = Math.round((hz * analyser.fftSize) / analyser.context.sampleRate);
		const most = Math.max(...bins);
		return most > -60 && Math.max(...bins.slice(at - 2, at + 3)) > most - 20;
	};
	globalThis.isQuiet = () => {
		const samples = new Float32Array(analyser.fftSize);
		analyser.getFloatTimeDomainData(samples);
		return samples.every((s) => Math.abs(s) < 0.01);
	};
	const media = MediaDevices.prototype.getUserMedia;
	MediaDevices.prototype.getUserMedia = function ({ audio }) {
		globalThis.asked = audio;
		return media.call(this, { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
	};
`

// visitor is somebody before the page of a server.
type visitor struct {
	*browsertest.Page
	t *testing.T
}

// visit opens the page with a token, which is typed.
func (r *running) visit(setup browsertest.Setup) *visitor {
	r.t.Helper()
	v := &visitor{setup.Open(r.t, r.url), r.t}
	v.Until(`document.activeElement.id === "token"`)
	v.Type("mine")
	v.Press("Enter")
	v.Until(`document.querySelector("#connection").dataset.on`)
	return v
}

// tab moves the keyboard's focus to an element, as somebody without a mouse does.
func (v *visitor) tab(selector string) {
	v.t.Helper()
	for range 80 {
		if string(v.Eval(fmt.Sprintf(`document.activeElement.matches(%q)`, selector))) == "true" {
			return
		}
		v.Press("Tab")
	}
	v.t.Fatalf("the keyboard does not reach %s", selector)
}

func (v *visitor) click(selector string) {
	v.t.Helper()
	v.Until(fmt.Sprintf(`document.querySelector(%q)`, selector))
	v.Eval(fmt.Sprintf(`document.querySelector(%q).click()`, selector))
}

// fill writes into a field.
func (v *visitor) fill(selector, value string) {
	v.t.Helper()
	v.Eval(fmt.Sprintf(`document.querySelector(%q).value = %q`, selector, value))
}

// complaints are what the console says, but for the answers that are expected.
func (v *visitor) complaints(expected string) {
	v.t.Helper()
	for _, e := range v.Errors() {
		if expected == "" || !strings.Contains(e, expected) {
			v.t.Errorf("on the console: %s", e)
		}
	}
}

// faults looks for text that is hard to read, controls without a name, and a page
// that is wider than its window. Contrast is that of WCAG 2.2, success criteria 1.4.3:
// 4.5, and 3 for large text.
const faults = `(() => {
	const found = [];
	const rgb = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
	const light = (color) => {
		const [r, g, b] = color.slice(0, 3).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const color = rgb(getComputedStyle(e).backgroundColor);
			if (color[3] !== 0) return color;
		}
		return [255, 255, 255];
	};
	let looked = 0;
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility({ visibilityProperty: true }) || e.closest(".unseen, .skip, [aria-busy]")) continue;
		const words = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("") || (e.matches("input, textarea") && (e.value || e.placeholder));
		const style = getComputedStyle(e);
		if (words) {
			looked++;
			const [a, b] = [light(rgb(style.color)), light(behind(e))].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
			if (ratio < (large ? 3 : 4.5)) found.push("contrast " + ratio.toFixed(2) + " of " + e.tagName + " " + words);
		}
		if (e.matches("button, a, input, select, textarea, meter, [role=progressbar]")) {
			const name = e.getAttribute("aria-label") || [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("") || e.textContent.trim();
			if (!name) found.push("no name: " + e.outerHTML);
		}
	}
	if (looked < 10) found.push("only " + looked + " words are seen");
	if (document.documentElement.scrollWidth > innerWidth) found.push("wider than " + innerWidth + ": " + document.documentElement.scrollWidth);
	return found;
})()`

// judge looks at the page in the light and in the dark, on a desktop and on a phone.
func (v *visitor) judge(name string) {
	v.t.Helper()
	for look, size := range map[string][2]int{"desktop": {1280, 900}, "phone": {390, 844}} {
		for _, dark := range []bool{false, true} {
			v.Look(size[0], size[1], dark)
			v.Eval(`new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))`)
			look := map[bool]string{false: "light", true: "dark"}[dark] + "-" + look
			var found []string
			if err := json.Unmarshal(v.Eval(faults), &found); err != nil {
				v.t.Fatal(err)
			}
			for _, f := range found {
				v.t.Errorf("%s, %s: %s", name, look, f)
			}
			if *screenshots != "" {
				file := filepath.Join(*screenshots, name+"-"+look+".png")
				if err := os.WriteFile(file, v.Screenshot(), 0o600); err != nil {
					v.t.Fatal(err)
				}
			}
		}
	}
	v.Look(1280, 900, false)
}

// asks asks the receptionist for the opening hours, again and again until enough is
// closed or the call is over: so it does not end because nobody says anything.
func asks(p *sim.Talk, enough <-chan struct{}) {
	for {
		_ = p.Press("1")
		select {
		case <-time.After(patience / 2):
		case <-p.Done():
			return
		case <-enough:
			return
		}
	}
}

// Somebody without a mouse dials a number that is none, is told so, dials another
// one, watches the call, how the caller interrupts the agent, and goes to what was
// said in its recording.
func TestPageShowsACallFromDialingToPlaybackByKeyboard(t *testing.T) {
	t.Parallel()
	r := start(t)
	seen := make(chan struct{})
	r.carrier.Otherwise(sim.Behavior{Ring: 100 * time.Millisecond, Talk: func(p *sim.Talk) {
		_ = p.WaitSpeech(10 * time.Second)
		_ = p.Say(prompts["hello"].sound())
		asks(p, seen)
		_ = p.WaitSilence(time.Second, 20*time.Second)
		_ = p.Say(prompts["thanks"].sound())
		_ = p.Press("9")
	}})
	v := r.visit(browsertest.Setup{})
	v.tab(`#dial [name="to_phone"]`)
	v.Type("12") // what Tab has selected goes
	v.Press("Enter")
	v.Until(`document.activeElement.matches("#dial [name=to_phone][aria-invalid]") &&
		document.getElementById(document.activeElement.getAttribute("aria-describedby")).textContent.includes("+")`)
	v.Press("Home")
	v.Press("Shift+End")
	v.Type("+12025550123")
	v.Press("Enter")
	v.Until(`!document.querySelector("#dial [aria-invalid]")`)
	v.Until(`document.querySelector("#live [data-status=active] .words").textContent.startsWith("agent: ")`)
	v.Until(`document.querySelector("#live .talk .agent").offsetWidth > 0`)

	v.tab(`#live a`)
	v.Press("Enter")
	v.Until(`document.activeElement.id === "call-title"`)
	v.Until(`document.querySelector("#events").textContent.includes("interrupted by speech")`)
	v.Until(`document.querySelector("#transcript").textContent.includes(` + fmt.Sprintf("%q", prompts["hours"].words) + `)`)
	close(seen)
	v.Until(`document.querySelector("#call-state").textContent === "completed"`)
	v.Until(`!document.querySelector("#sound").hidden && document.querySelectorAll("#replies li").length`)
	drawn := `(() => { const c = document.querySelector("#wave");
		return new Set(new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer)).size > 20 })()`
	v.Until(drawn)
	v.judge("call")

	v.tab("#play")
	v.Press("Enter")
	v.Until(`document.querySelector("audio").currentTime > 0.3 && document.querySelector("#transcript [aria-current]")`)
	v.Press("Enter")
	v.Until(`document.querySelector("audio").paused`) // from now on nothing moves by itself
	v.tab(`#transcript li:nth-last-child(1) button`)
	v.Press("Enter")
	v.Until(`document.querySelector("audio").currentTime > 3 && document.querySelector("#transcript li:nth-last-child(1)").ariaCurrent === "true"`)
	for range 80 {
		if string(v.Eval(`document.activeElement.id === "seek"`)) == "true" {
			break
		}
		v.Press("Shift+Tab")
	}
	v.Press("Home")
	v.Until(`document.querySelector("audio").currentTime === 0 && document.querySelector("#at").textContent.startsWith("0:00 / ")`)
	v.complaints("400 (Bad Request)")
}

// micWAV is a file with a tone, for a browser's microphone.
func micWAV(t *testing.T, hz float64) string {
	t.Helper()
	const rate = 48000
	pcm := audiotest.Tone(hz, 10*time.Second, rate)
	file := audio.AppendWAVHeader(nil, audio.Format{Encoding: audio.PCM16, Rate: rate}, 1, int64(len(pcm)))
	for _, s := range pcm {
		file = binary.LittleEndian.AppendUint16(file, uint16(s))
	}
	path := filepath.Join(t.TempDir(), "microphone.wav")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is said into the microphone of the page reaches an agent, and what the agent
// says is heard; keys reach it too, and muted is muted.
func TestPageTalksToAgents(t *testing.T) {
	t.Parallel()
	const hz = 703.125 // of a bin of the analyser
	r := start(t)
	v := r.visit(browsertest.Setup{Script: ear, Flags: []string{
		"--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
		"--use-file-for-fake-audio-capture=" + micWAV(t, hz),
	}})
	v.fill("#talk select", "echo")
	v.click("#talk button")
	v.Until(`document.activeElement.id === "phone-stop"`)
	v.Until(`hears(703.125) && document.querySelector("#spoken").value > 0.1 && document.querySelector("#heard").value > 0.1`)
	if got := string(v.Eval(`asked.echoCancellation && asked.noiseSuppression`)); got != "true" {
		t.Error("the microphone is asked for without echo cancellation")
	}
	v.Press("m")
	v.Until(`isQuiet() && document.querySelector("#phone-mute").ariaPressed === "true"`)
	v.Press("m")
	v.Until(`hears(703.125)`)
	v.Until(`document.querySelector("#live [data-status=active]")`)
	v.judge("phone")
	v.tab("#phone-stop")
	v.Press("Enter")
	v.Until(`document.querySelector("#phone").hidden && document.querySelector("#recent .recorded")`)

	v.fill("#talk select", "receptionist")
	v.click("#talk button")
	v.Until(`document.activeElement.id === "phone-stop"`)
	v.Press("m") // the tone might be taken for speech, and interrupt the agent
	v.Until(`!isQuiet()`)
	v.click(`#keypad [data-key="1"]`)
	v.Until(`document.querySelector("#live .words").textContent.includes("open")`)
	v.Press("9")
	v.Until(`document.querySelector("#phone").hidden`) // the agent has hung up
	v.complaints("")
}

// A page of another origin has a call button: the module alone, and tickets from its
// own server. It talks to an agent, and says so when no call is possible.
func TestCallButtonOnAPageOfAHost(t *testing.T) {
	t.Parallel()
	const hz = 703.125
	mux := http.NewServeMux()
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	r := start(t, "BROWSER_ORIGINS", host.URL)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src "+r.url+"; connect-src 'self' "+strings.Replace(r.url, "http", "ws", 1))
		fmt.Fprintf(w, `<!doctype html><script type="module" src="%[1]sswitchboard.js"></script>
			<switchboard-call ticket="/call-us" server="%[1]s">Talk to us</switchboard-call>`, r.url)
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	open := make(chan bool, 1)
	open <- true
	mux.HandleFunc("POST /call-us", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-open:
			_, _ = w.Write(r.answer(r.ask("mine", "POST", "api/tickets", `{"agent_id":"echo"}`), http.StatusCreated))
		default:
			http.Error(w, "closed", http.StatusServiceUnavailable)
		}
	})
	v := &visitor{browsertest.Setup{Script: ear, Flags: []string{
		"--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
		"--use-file-for-fake-audio-capture=" + micWAV(t, hz),
	}}.Open(t, host.URL), t}
	const button = `document.querySelector("switchboard-call").shadowRoot.querySelector("button")`
	v.Until(button + `.querySelector("slot").assignedNodes()[0].data === "Talk to us"`)
	v.tab("switchboard-call")
	v.Press("Enter")
	v.Until(`hears(703.125) && ` + button + `.textContent === "Hang up"`)
	v.Press("Enter")
	v.Until(button + `.querySelector("slot")`)
	v.Press("Enter")
	v.Until(`document.querySelector("switchboard-call").shadowRoot.querySelector("[role=alert]").textContent.includes("No call")`)
	v.complaints("503 (Service Unavailable)")
}

// A supervisor hears both sides of a call, puts it on hold and takes it up, and
// the call tells that somebody has listened. Who has left the page needs the token.
func TestPageListensToALiveCall(t *testing.T) {
	t.Parallel()
	const hz = 1000
	r := start(t)
	hum := audio.Signal{Hertz: []float64{hz}}
	r.carrier.Otherwise(sim.Behavior{Talk: func(p *sim.Talk) { _ = p.Say(hum.Reader(8000)) }})
	id := r.place(strings.Replace(seedCall, `"receptionist"`, `"echo"`, 1))
	v := r.visit(browsertest.Setup{Script: ear})
	v.click("#live [data-status=active] .acts button")
	v.Until(`!document.querySelector("#phone").hidden`)
	v.Until(`hears(1000)`)
	v.judge("live")
	v.click("#live .acts button:nth-child(2)")
	v.Until(`document.querySelector("#live .badge").textContent === "on hold"`)
	v.click("#live .acts button:nth-child(2)")
	v.Until(`document.querySelector("#live .badge").textContent === "active"`)
	v.click("#phone-stop")
	v.Until(`document.querySelector("#phone").hidden`)
	if events := r.await(id, "listen off"); !slices.Contains(events, "listen on") || !slices.Contains(events, "listen off") {
		t.Errorf("events %q", events)
	}

	v.click("#live .acts button:nth-child(3)")
	v.Until(`document.querySelector("#control").open`)
	v.judge("control")
	v.fill(`#hand-over [name="agent_id"]`, "receptionist")
	v.click("#hand-over button")
	v.Until(`document.querySelector("#live p").textContent.endsWith("receptionist")`)
	v.click("#live .danger")
	v.Until(`document.querySelectorAll("#live li").length === 0 && document.querySelector("#recent tr[data-call]")`)

	v.click("#leave")
	v.Until(`document.activeElement.id === "token" && document.querySelector("#inside").hidden`)
	v.Type("wrong")
	v.Press("Enter")
	v.Until(`document.querySelector("#login .wrong").textContent.includes("not known") && !document.querySelector("#login").hidden`)
	v.complaints("401 (Unauthorized)")
}

// Calls are planned, and canceled; a campaign shows how far it has come until all
// have been called.
func TestPagePlansCalls(t *testing.T) {
	t.Parallel()
	r := start(t, "CALLS_PER_SECOND", "100")
	r.carrier.Otherwise(hasty)
	v := r.visit(browsertest.Setup{})
	v.click(`nav [href="#schedules"]`)
	v.click("#plan button")
	v.Until(`document.querySelector("#plan [name=scheduled_time][aria-invalid]")`)
	v.fill(`#plan [name="timezone"]`, "Europe/Rome")
	v.fill(`#plan [name="cron_expression"]`, "0 9 * * MON")
	v.click("#plan button")
	v.Until(`document.querySelector("#schedules [data-plan]").textContent.includes("0 9 * * MON (Europe/Rome)")`)
	v.judge("schedules")
	v.click("#schedules [data-plan] .acts button:last-child")
	v.Until(`document.querySelector("#schedules .badge").textContent === "canceled"`)

	v.click(`nav [href="#campaigns"]`)
	v.fill(`#many [name="contacts"]`, "+12025550123, +12025550124")
	v.fill(`#many [name="hours"]`, "Mon-Sun 00:00-24:00")
	v.click("#many button")
	v.Until(`document.querySelector("#campaigns [role=progressbar]").ariaValueMax === "2"`)
	v.Until(`document.querySelector("#campaigns [role=progressbar]").ariaValueNow === "2" && document.querySelector("#campaigns .badge").textContent === "done"`)
	v.Until(`document.querySelector("#campaigns .reached").offsetWidth === document.querySelector("#campaigns .progress").offsetWidth`)
	v.judge("campaigns")
	v.click("#campaigns [data-plan] .acts button:last-child")
	v.Until(`document.querySelectorAll("#campaigns [data-plan]").length === 0`)
	v.complaints("400 (Bad Request)")
}

// The page shows what goes on soon after it is opened, however many calls live, and
// is small.
func TestPageWithManyCalls(t *testing.T) {
	t.Parallel()
	r := start(t, "CALLS_PER_SECOND", "1000")
	r.carrier.Otherwise(sim.Behavior{Talk: func(p *sim.Talk) { asks(p, nil) }})
	for i := range *manyCalls {
		r.place(fmt.Sprintf(`{"agent_id":"receptionist","from_phone":"+12025550100","to_phone":"+1202555%04d"}`, 1000+i))
	}
	v := r.visit(browsertest.Setup{Script: `
		new MutationObserver(() => {
			if (document.querySelector("#live li")) globalThis.first ??= performance.now() - globalThis.entered;
			if (document.querySelector("#live .words:not(:empty)")) globalThis.update ??= performance.now() - globalThis.entered;
		}).observe(document, { childList: true, subtree: true, characterData: true });
		addEventListener("submit", () => { globalThis.entered = performance.now() }, true);
	`})
	v.Until(fmt.Sprintf(`document.querySelector("#live-count").textContent === "%d" && globalThis.update`, *manyCalls))
	t.Logf("of %d live calls the first was seen %s ms after the token was given, the first words %s ms",
		*manyCalls, v.Eval("Math.round(first)"), v.Eval("Math.round(update)"))
	v.complaints("")

	raw, packed := 0, 0
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		t.Fatal(err)
	}
	for name, small := range compress(files) {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		raw, packed = raw+len(data), packed+len(small)
	}
	t.Logf("the page has %d bytes, %d packed", raw, packed)
	if most := 32 << 10; packed > most {
		t.Errorf("the page has %d bytes, more than %d", packed, most)
	}
}

// Recordings in each encoding are read as Go reads them.
func TestPageReadsRecordingsInEachEncoding(t *testing.T) {
	t.Parallel()
	r := start(t)
	page := browsertest.Open(t, r.url)
	for _, encoding := range []audio.Encoding{audio.PCM16, audio.MuLaw, audio.ALaw} {
		codes := make([]byte, 512) // all there are, or some
		for i := range codes {
			codes[i] = byte(i / 2 * (1 + i%2)) // left: each; right: every second
		}
		frames := len(codes) / 2 / encoding.SampleBytes()
		file := audio.AppendWAVHeader(nil, audio.Format{Encoding: encoding, Rate: 8000}, 2, int64(frames))
		file = append(file, codes...)
		want, _, err := audio.ReadWAV(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		got := page.Eval(fmt.Sprintf(`import(new URL("wave.js", document.baseURI)).then(({ decode }) =>
			decode(Uint8Array.from(atob(%q), (c) => c.charCodeAt(0)).buffer).sides.map((side) => [...side]))`,
			base64.StdEncoding.EncodeToString(file)))
		var sides [][]int16
		if err := json.Unmarshal(got, &sides); err != nil {
			t.Fatal(err)
		}
		for i, side := range sides {
			if !slices.Equal(side, want[i]) {
				t.Errorf("%v: side %d is %v, want %v", encoding, i, side, want[i])
			}
		}
	}
}
