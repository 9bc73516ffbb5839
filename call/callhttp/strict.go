package callhttp

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// placeFields are the names that a request to place a call may use.
var placeFields = fieldNames(reflect.TypeFor[placeRequest]())

func fieldNames(t reflect.Type) map[string]bool {
	names := make(map[string]bool)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

// checkNames refuses a JSON object, already known to be one, that has a field
// twice or under a name that is not quite right. encoding/json takes "TO_PHONE"
// for "to_phone" and the last of two, and huma lets it: but what a proxy before
// us has checked may have been another field than the one that is used.
func checkNames(object []byte, known map[string]bool) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil { // the brace
		return invalidRequest.at("body", "is not an object")
	}
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		switch {
		case err != nil || !ok:
			return invalidRequest.at("body", "is not an object")
		case !known[name]:
			return invalidRequest.at("body."+name, "unexpected property")
		case seen[name]:
			return invalidRequest.at("body."+name, "is there twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return invalidRequest.at("body."+name, "is not JSON")
		}
	}
	return nil
}
