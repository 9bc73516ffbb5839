module github.com/switchboard-voice/switchboard/bench

go 1.26.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/maxhawkins/go-webrtcvad v0.0.0-20210121163624-be60036f3083
	github.com/switchboard-voice/switchboard v0.0.0
	github.com/tphakala/go-audio-resampler v1.4.0
	github.com/valyala/fastjson v1.6.4
	github.com/zaf/g711 v1.4.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/golang/mock v1.6.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/tphakala/simd v1.1.0 // indirect
	github.com/twilio/twilio-go v1.31.0 // indirect
)

replace github.com/switchboard-voice/switchboard => ../
