package callecho

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/gorilla/websocket"
	"github.com/zaf/g711"
)

// naive is the server that one writes first: the usual packages, as their
// documentation shows them.
type naive struct{}

type naiveMessage struct {
	Event     string      `json:"event"`
	StreamSid string      `json:"streamSid,omitempty"`
	Media     *naiveMedia `json:"media,omitempty"`
}

type naiveMedia struct {
	Track     string `json:"track,omitempty"`
	Chunk     string `json:"chunk,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Payload   string `json:"payload"`
}

var naiveUpgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (naive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := naiveUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return
		}
		var m naiveMessage
		if err := json.Unmarshal(data, &m); err != nil {
			return
		}
		if m.Event != "media" || m.Media == nil {
			continue
		}
		payload, err := base64.StdEncoding.DecodeString(m.Media.Payload)
		if err != nil {
			return
		}
		pcm := g711.DecodeUlaw(payload)
		reply, err := json.Marshal(naiveMessage{
			Event:     "media",
			StreamSid: m.StreamSid,
			Media:     &naiveMedia{Payload: base64.StdEncoding.EncodeToString(g711.EncodeUlaw(pcm))},
		})
		if err != nil {
			return
		}
		if err := ws.WriteMessage(websocket.TextMessage, reply); err != nil {
			return
		}
	}
}
