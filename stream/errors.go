package stream

import "errors"

// Why a socket was not accepted. Accept has replied with the status named.
var (
	ErrNotWebSocket   = errors.New("stream: not a websocket request")       // 400, 405, 426 or 500
	ErrOrigin         = errors.New("stream: origin not allowed")            // 403
	ErrTooManyPending = errors.New("stream: too many sockets yet to start") // 503
	ErrGateClosed     = errors.New("stream: gate closed")                   // 503
)

// Why a stream ended. Run returns an error that wraps one of these, the
// handler's error, or the cause of its context.
var (
	// ErrNoStart tells that no start came in time.
	ErrNoStart = errors.New("stream: no start")
	// ErrFormat tells that the start asks for audio the protocol does not carry.
	ErrFormat = errors.New("stream: format not supported")
	// ErrIdle tells that nothing came for too long, not even a pong.
	ErrIdle = errors.New("stream: far end is silent")
	// ErrTooManyBad tells that the far end kept sending what is not its protocol.
	ErrTooManyBad = errors.New("stream: too many bad messages")
	// ErrProtocol tells that the far end broke the rules of WebSocket, or its
	// message was too long.
	ErrProtocol = errors.New("stream: websocket rules broken")
	// ErrWriteTimeout tells that the far end stopped reading.
	ErrWriteTimeout = errors.New("stream: far end does not read")
	// ErrLost tells that the connection broke, or was closed without a word.
	ErrLost = errors.New("stream: connection lost")
)

// What the methods of a Conn answer.
var (
	// ErrClosed tells that the stream has ended.
	ErrClosed = errors.New("stream: closed")
	// ErrNotStarted tells that the format is not known yet.
	ErrNotStarted = errors.New("stream: not started")
	// ErrCleared tells that a Clear overtook what was being written or waited
	// for.
	ErrCleared = errors.New("stream: cleared")
	// ErrQueueFull tells that too many keys or texts wait to be sent.
	ErrQueueFull = errors.New("stream: queue full")
	// ErrKeys tells that a string is not made of 0-9, *, # and A-D.
	ErrKeys = errors.New("stream: not keys")
)

// closeCode is what the far end is told when the stream ends with err
// (RFC 6455, section 7.4.1). It learns no more than that.
func closeCode(err error) int {
	var broken brokenRule
	switch {
	case errors.As(err, &broken):
		return broken.code
	case errors.Is(err, ErrTooManyBad), errors.Is(err, ErrNoStart), errors.Is(err, errRefused):
		return closePolicy
	case errors.Is(err, ErrFormat):
		return closeUnsupported
	}
	return closeNormal
}

// errRefused marks, for closeCode, an error of Handler.Start.
var errRefused = errors.New("refused")

type refusal struct{ error }

func (r refusal) Is(target error) bool { return target == errRefused }
func (r refusal) Unwrap() error        { return r.error }
