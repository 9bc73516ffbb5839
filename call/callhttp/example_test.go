package callhttp_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/callhttp"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// The API beside whatever else a host serves, for whom it knows.
func ExampleNew() {
	svc, err := call.New(call.Config{
		PublicURL: "https://voice.example.com/phone/",
		Providers: []call.Provider{&twilio.Provider{AccountSID: "AC00000000000000000000000000000000", AuthToken: "secret"}},
		Agents:    call.Agents{"echo": call.Echo},
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = svc.Shutdown(context.Background()) }()
	api, err := callhttp.New(callhttp.Config{
		Service: svc,
		Authorize: func(r *http.Request) (tenant string, err error) {
			if r.Header.Get("Authorization") != "Bearer of-acme" {
				return "", errors.New("who is it?")
			}
			return "acme", nil
		},
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer api.Close()
	mux := http.NewServeMux()
	mux.Handle("/phone/", svc.Handler())
	mux.Handle("/api/", api)

	req := httptest.NewRequestWithContext(context.Background(), "POST", "/api/calls",
		strings.NewReader(`{"agent_id":"echo","to_phone":"12","from_phone":"+12025550100"}`))
	req.Header.Set("Authorization", "Bearer of-acme")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 400 application/problem+json
}
