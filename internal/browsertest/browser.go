// Package browsertest opens pages in a real browser, a headless Chromium, for
// tests. It speaks as much of the DevTools protocol as that takes
// (https://chromedevtools.github.io/devtools-protocol/).
package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Page is a page in a browser of its own, which ends with the test. It is used by
// one goroutine at a time.
type Page struct {
	t      testing.TB
	conn   *websocket.Conn
	last   int // order that was given
	loaded bool
	errors []string
}

// patience is how long the browser may take to start, and for each answer.
const patience = time.Minute

// Setup is how a browser begins. The zero value is a plain one.
type Setup struct {
	Flags  []string // of Chromium's command line
	Script string   // runs before the scripts of each page
}

// Open shows url. Without a Chromium on this machine the test fails: make setup
// brings it.
func Open(t testing.TB, url string) *Page {
	t.Helper()
	return Setup{}.Open(t, url)
}

// Open is the function Open, with this setup.
func (s Setup) Open(t testing.TB, url string) *Page {
	t.Helper()
	p := &Page{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	address, err := pageAddress(ctx, start(t, s.Flags))
	if err != nil {
		t.Fatalf("browsertest: %v", err)
	}
	conn, reply, err := websocket.DefaultDialer.DialContext(ctx, address, nil)
	if err != nil {
		t.Fatalf("browsertest: %v", err)
	}
	_ = reply.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	p.conn = conn
	p.ask("Runtime.enable", nil)
	p.ask("Log.enable", nil)
	p.ask("Page.enable", nil)
	if s.Script != "" {
		p.ask("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": s.Script})
	}
	p.Go(url)
	return p
}

// Go shows another url.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.loaded = false
	p.ask("Page.navigate", map[string]any{"url": url})
	for !p.loaded {
		p.read()
	}
}

// start runs a browser until the test ends, and returns the host at which it
// takes orders.
func start(t testing.TB, flags []string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("browsertest: no Chromium here to test with: run make setup")
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, slices.Concat([]string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
		"--user-data-dir=" + t.TempDir(),
	}, flags, []string{"about:blank"})...)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		t.Fatalf("browsertest: %v", err)
	}
	hosts := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() { listen(said, hosts) })
	t.Cleanup(func() {
		stop()
		reading.Wait()
		_ = cmd.Wait() // it was killed
	})
	select {
	case host, ok := <-hosts:
		if ok {
			return host
		}
		t.Fatal("browsertest: the browser has ended at once")
	case <-time.After(patience):
		t.Fatal("browsertest: the browser does not start")
	}
	return ""
}

var listening = regexp.MustCompile(`DevTools listening on ws://([^/]+)/`)

// listen reads what a browser says, and tells where it listens.
func listen(said io.Reader, hosts chan<- string) {
	defer close(hosts)
	told := false
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if m := listening.FindSubmatch(lines.Bytes()); m != nil && !told {
			hosts <- string(m[1])
			told = true
		}
	}
}

// pageAddress makes a new page and returns where it takes orders.
func pageAddress(ctx context.Context, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+host+"/json/new?about:blank", nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var page struct {
		Address string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return "", err
	}
	if page.Address == "" {
		return "", errors.New("the browser makes no page")
	}
	return page.Address, nil
}

// Eval evaluates JavaScript on the page, waits for what it promises, and returns
// its value as JSON. The test fails if it throws.
func (p *Page) Eval(script string) json.RawMessage {
	p.t.Helper()
	var got struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Thrown *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	answer := p.ask("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true})
	if err := json.Unmarshal(answer, &got); err != nil {
		p.t.Fatalf("browsertest: %v", err)
	}
	if got.Thrown != nil {
		p.t.Fatalf("browsertest: %s: %s %s", script, got.Thrown.Text, got.Thrown.Exception.Description)
	}
	return got.Result.Value
}

// Until waits until an expression is true, and fails the test if it never is: with
// the expression and what the page says then. One that throws is not true yet.
func (p *Page) Until(expression string) {
	p.t.Helper()
	script := fmt.Sprintf(`(async () => {
		let thrown = "";
		for (const end = Date.now() + %d; Date.now() < end; await new Promise((next) => setTimeout(next, 20))) {
			try {
				if (%s) return "";
			} catch (error) {
				thrown = error.message;
			}
		}
		return thrown + "\n" + document.body.innerText;
	})()`, (patience - 5*time.Second).Milliseconds(), expression)
	var left string
	if err := json.Unmarshal(p.Eval(script), &left); err != nil || left != "" {
		p.t.Fatalf("browsertest: never came true: %s\n%v\n%s\n%v", expression, p.errors, left, err)
	}
}

// Errors are those that the page has shown on its console, and what it could not
// load.
func (p *Page) Errors() []string {
	return slices.Clone(p.errors)
}

// ask gives an order and returns the answer to it.
func (p *Page) ask(method string, params any) json.RawMessage {
	p.t.Helper()
	p.last++
	_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
	if err := p.conn.WriteJSON(map[string]any{"id": p.last, "method": method, "params": params}); err != nil {
		p.t.Fatalf("browsertest: %s: %v", method, err)
	}
	for {
		if m := p.read(); m.ID == p.last {
			if m.Error != nil {
				p.t.Fatalf("browsertest: %s: %s", method, m.Error)
			}
			return m.Result
		}
	}
}

// message is what the browser sends: the answer to an order, or an event.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Params json.RawMessage `json:"params"`
}

// read takes one message, and notes what it tells of the page.
func (p *Page) read() message {
	p.t.Helper()
	var m message
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	if err := p.conn.ReadJSON(&m); err != nil {
		p.t.Fatalf("browsertest: %v", err)
	}
	var event struct {
		Type  string `json:"type"`
		Entry struct {
			Level string `json:"level"`
		} `json:"entry"`
	}
	if m.Params != nil {
		if err := json.Unmarshal(m.Params, &event); err != nil {
			p.t.Fatalf("browsertest: %s: %v", m.Method, err)
		}
	}
	switch m.Method {
	case "Page.loadEventFired":
		p.loaded = true
	case "Runtime.exceptionThrown":
		p.errors = append(p.errors, string(m.Params))
	case "Log.entryAdded":
		if event.Entry.Level == "error" {
			p.errors = append(p.errors, string(m.Params))
		}
	case "Runtime.consoleAPICalled":
		if event.Type == "error" {
			p.errors = append(p.errors, string(m.Params))
		}
	}
	return m
}
