package browsertest

import (
	"encoding/json"
	"strings"
)

// keyCodes are the virtual codes of keys that are no letters.
var keyCodes = map[string]int{
	"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36,
	"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
}

// Press presses a key of the keyboard, by its name as KeyboardEvent.key has it: "Tab",
// "Enter" or "m". "Shift+Tab" is one as well.
func (p *Page) Press(key string) {
	p.t.Helper()
	key, shifted := strings.CutPrefix(key, "Shift+")
	event := map[string]any{"type": "keyDown", "key": key, "code": key}
	if shifted {
		event["modifiers"] = 8
	}
	if code := keyCodes[key]; code != 0 {
		event["windowsVirtualKeyCode"] = code
	}
	switch {
	case key == "Enter":
		event["text"] = "\r"
	case len(key) == 1:
		event["text"] = key
	}
	p.ask("Input.dispatchKeyEvent", event)
	event["type"] = "keyUp"
	delete(event, "text")
	p.ask("Input.dispatchKeyEvent", event)
}

// Type types text where the keyboard's focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.ask("Input.insertText", map[string]any{"text": text})
}

// Look changes how large the page is, in CSS pixels, and whether it is dark. A
// narrow one is a phone's.
func (p *Page) Look(width, height int, dark bool) {
	p.t.Helper()
	p.ask("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.ask("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	})
}

// Screenshot is what the page looks like, as PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data []byte }
	if err := json.Unmarshal(p.ask("Page.captureScreenshot", map[string]any{"format": "png"}), &shot); err != nil {
		p.t.Fatalf("browsertest: %v", err)
	}
	return shot.Data
}
