package callhttp

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// The names that requests may use.
var (
	placeFields    = fieldNames(reflect.TypeFor[placeRequest]())
	batchFields    = fieldNames(reflect.TypeFor[batchRequest]())
	ticketFields   = fieldNames(reflect.TypeFor[ticketRequest]())
	transferFields = fieldNames(reflect.TypeFor[transferRequest]())
	keysFields     = fieldNames(reflect.TypeFor[keysRequest]())
	consentFields  = fieldNames(reflect.TypeFor[consentRequest]())
	recordFields   = fieldNames(reflect.TypeFor[recordRequest]())
	campaignFields = fieldNames(reflect.TypeFor[campaignRequest]())
	contactFields  = fieldNames(reflect.TypeFor[contactRequest]())
	scheduleFields = fieldNames(reflect.TypeFor[scheduleRequest]())
	contactsFields = map[string]bool{"contacts": true}
)

func fieldNames(t reflect.Type) map[string]bool {
	names := make(map[string]bool)
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names[name] = true
		}
	}
	return names
}

// checkNames refuses a JSON object, already known to be one, that has a field
// twice or under a name that is not quite right. encoding/json takes "TO_PHONE"
// for "to_phone" and the last of two, and huma lets it: but what a proxy before
// us has checked may have been another field than the one that is used. The
// object is at location.
func checkNames(location string, object []byte, known map[string]bool) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return invalidRequest.at(location, "is not an object")
	}
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		switch {
		case err != nil || !ok:
			return invalidRequest.at(location, "is not an object")
		case !known[name]:
			return invalidRequest.at(location+"."+name, "unexpected property")
		case seen[name]:
			return invalidRequest.at(location+"."+name, "is there twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return invalidRequest.at(location+"."+name, "is not JSON")
		}
	}
	return nil
}
