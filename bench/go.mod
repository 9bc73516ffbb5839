module github.com/switchboard-voice/switchboard/bench

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/switchboard-voice/switchboard v0.0.0
	github.com/zaf/g711 v1.4.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/golang/mock v1.6.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/stretchr/testify v1.11.1 // indirect
	github.com/twilio/twilio-go v1.31.0 // indirect
)

replace github.com/switchboard-voice/switchboard => ../
