package realtime

import (
	"cmp"
	"encoding/json"
)

// The messages of the API that matter here, as its reference has them
// (https://platform.openai.com/docs/api-reference/realtime).

// event is a message of the model's.
type event struct {
	Type         string   `json:"type"`
	ItemID       string   `json:"item_id"`
	ResponseID   string   `json:"response_id"`
	ContentIndex int      `json:"content_index"`
	Delta        string   `json:"delta"`
	Transcript   string   `json:"transcript"`
	AudioStart   int64    `json:"audio_start_ms"`
	AudioEnd     int64    `json:"audio_end_ms"`
	Response     response `json:"response"`
	Error        apiError `json:"error"`
}

type response struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Details struct {
		Error apiError `json:"error"`
	} `json:"status_details"`
	Output []item `json:"output"`
}

type apiError struct{ Type, Code, Message string }

// String says what is wrong.
func (e apiError) String() string { return cmp.Or(e.Code, e.Type) + ": " + e.Message }

// item is a part of the conversation.
type item struct {
	Type      string    `json:"type"`
	Role      string    `json:"role,omitempty"`
	Content   []content `json:"content,omitempty"`
	CallID    string    `json:"call_id,omitempty"`
	Name      string    `json:"name,omitempty"`
	Arguments string    `json:"arguments,omitempty"`
	Output    string    `json:"output,omitempty"`
}

type content struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
}

type (
	appendSound struct {
		Type  string `json:"type"`
		Audio []byte `json:"audio"` // base64
	}
	truncate struct {
		Type         string `json:"type"`
		ItemID       string `json:"item_id"`
		ContentIndex int    `json:"content_index"`
		AudioEnd     int64  `json:"audio_end_ms"`
	}
	cancel struct {
		Type       string `json:"type"`
		ResponseID string `json:"response_id"`
	}
	createItem struct {
		Type string `json:"type"`
		Item item   `json:"item"`
	}
	createResponse struct {
		Type     string `json:"type"`
		Response struct {
			Instructions string `json:"instructions,omitempty"`
		} `json:"response"`
	}
	updateSession struct {
		Type    string  `json:"type"`
		Session session `json:"session"`
	}
)

// respond asks for a reply, now.
func respond(instructions string) createResponse {
	m := createResponse{Type: "response.create"}
	m.Response.Instructions = instructions
	return m
}

// remember tells what somebody has said before.
func remember(model bool, text string) createItem {
	i := item{Type: "message", Role: "user", Content: []content{{"input_text", text}}}
	if model {
		i.Role, i.Content[0].Type = "assistant", "output_text"
	}
	return createItem{"conversation.item.create", i}
}

// session is what a conversation is to be like.
type session struct {
	Type         string   `json:"type"`
	Modalities   []string `json:"output_modalities"`
	Instructions string   `json:"instructions,omitempty"`
	Audio        struct {
		Input struct {
			Format        format `json:"format"`
			Transcription struct {
				Model string `json:"model"`
			} `json:"transcription"`
			TurnDetection turnDetection `json:"turn_detection"`
		} `json:"input"`
		Output struct {
			Format format `json:"format"`
			Voice  string `json:"voice"`
		} `json:"output"`
	} `json:"audio"`
	Tools []tool `json:"tools"`
}

type format struct {
	Type string `json:"type"`
}

// turnDetection has the model find out when it is its turn, and fall silent when
// it is not.
type turnDetection struct {
	Type      string `json:"type"`
	Respond   bool   `json:"create_response"`
	Interrupt bool   `json:"interrupt_response"`
}

type tool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

func (a *Agent) model() string { return cmp.Or(a.Model, "gpt-realtime") }

// sessionUpdate says what the agent wants.
func (a *Agent) sessionUpdate() updateSession {
	s := session{Type: "realtime", Modalities: []string{"audio"}, Instructions: a.Instructions, Tools: []tool{}}
	s.Audio.Input.Format.Type = "audio/pcmu"
	s.Audio.Input.Transcription.Model = "gpt-4o-mini-transcribe"
	s.Audio.Input.TurnDetection = turnDetection{"server_vad", true, true}
	s.Audio.Output.Format.Type = "audio/pcmu"
	s.Audio.Output.Voice = cmp.Or(a.Voice, "marin")
	for _, f := range a.Functions {
		parameters := f.Parameters
		if parameters == nil {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		s.Tools = append(s.Tools, tool{"function", f.Name, f.Description, parameters})
	}
	return updateSession{"session.update", s}
}
