//go:build spandsp

package micro

// #cgo LDFLAGS: -lspandsp -lm
// #include <stdlib.h>
// #include <tiffio.h>
// #include <spandsp.h>
import "C"

import (
	"errors"
	"unsafe"
)

// newPeerReceiver makes a receiver of spandsp, with its own settings.
var newPeerReceiver = func() (receiver, error) {
	s := C.dtmf_rx_init(nil, nil, nil)
	if s == nil {
		return nil, errors.New("micro: spandsp makes no receiver")
	}
	return &peerReceiver{state: s}, nil
}

type peerReceiver struct {
	state *C.dtmf_rx_state_t
	heard []byte
}

// hear gives what a call would: 20 ms at a time.
func (r *peerReceiver) hear(pcm []int16) {
	for len(pcm) > 0 {
		n := min(frame, len(pcm))
		C.dtmf_rx(r.state, (*C.int16_t)(unsafe.Pointer(&pcm[0])), C.int(n))
		pcm = pcm[n:]
	}
}

func (r *peerReceiver) take() string {
	var digits [129]C.char
	n := C.dtmf_rx_get(r.state, &digits[0], 128)
	return C.GoStringN(&digits[0], C.int(n))
}

func (r *peerReceiver) close() { C.dtmf_rx_free(r.state) }
