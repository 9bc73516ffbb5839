package realtime

import (
	"encoding/json"
	"errors"
	"fmt"
)

// perform calls the functions that the model wants, one after the other, and has
// it go on with what they have said. It reports whether there are any.
func (l *link) perform(output []item) bool {
	var calls []item
	for _, i := range output {
		if i.Type == "function_call" {
			calls = append(calls, i)
		}
	}
	if len(calls) == 0 {
		return false
	}
	b := l.bridge
	b.work.Go(func() {
		for _, c := range calls {
			said, err := b.perform(c)
			if errors.Is(err, ErrGoodbye) {
				b.once.Do(func() { close(b.goodbye) })
				return
			}
			if err != nil {
				said, _ = json.Marshal(map[string]string{"error": err.Error()}) // of strings: cannot fail
			}
			_ = l.send(createItem{"conversation.item.create", item{Type: "function_call_output", CallID: c.CallID, Output: string(said)}})
		}
		_ = l.send(respond("")) // who reads finds out if the link is broken
	})
	return true
}

// perform calls one function. A panic of its ends the function and nothing else.
func (b *bridge) perform(c item) (said []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s failed", c.Name)
		}
	}()
	for _, f := range b.agent.Functions {
		if f.Name != c.Name {
			continue
		}
		result, err := f.Call(b.ctx, b.session, json.RawMessage(c.Arguments))
		if err != nil {
			return nil, err
		}
		return json.Marshal(result)
	}
	return nil, fmt.Errorf("there is no function %.40q", c.Name)
}
