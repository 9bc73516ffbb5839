package callecho

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	frameSamples = 160 // 20 ms
	markBytes    = 6   // of the payload: the number of the frame
	markText     = markBytes / 3 * 4
)

// A script is what a caller says: frames of audio as base64, without their
// first bytes, which are to hold the number of the frame.
type script []string

func newScript(speech []int16) (script, error) {
	var s script
	for len(speech) >= frameSamples {
		payload := audio.AppendEncode(nil, audio.MuLaw, speech[:frameSamples])
		for i, code := range payload {
			if code == 0x7f {
				payload[i] = 0xff // the two zeros are one sample; it would come back as the other
			}
		}
		s = append(s, base64.StdEncoding.EncodeToString(payload[markBytes:]))
		speech = speech[frameSamples:]
	}
	if len(s) == 0 {
		return nil, fmt.Errorf("callecho: no speech to say")
	}
	return s, nil
}

// markFrame writes the number of a frame as audio that survives mu-law both
// ways: six codes of four bits each.
func markFrame(dst []byte, number uint32) {
	var mark [markBytes]byte
	for i := range mark {
		mark[i] = 0x90 | byte(number>>(20-4*i))&0x0f
	}
	base64.StdEncoding.Encode(dst, mark[:])
}

// readMark is the number in the first bytes of a payload.
func readMark(text []byte) (number uint32, ok bool) {
	var mark [markBytes]byte
	if len(text) != markText {
		return 0, false
	}
	if n, err := base64.StdEncoding.Decode(mark[:], text); err != nil || n != markBytes {
		return 0, false
	}
	for _, b := range mark {
		if b&0xf0 != 0x90 {
			return 0, false
		}
		number = number<<4 | uint32(b&0x0f)
	}
	return number, true
}

// headerRoom is left before a message for the header of its WebSocket frame:
// two bytes, two of length and four of mask (RFC 6455, section 5.2).
const headerRoom = 8

// seal puts the header before the message that begins at headerRoom. The mask
// is zero: so nothing need be masked here, and the server has its work with it
// all the same.
func seal(frame []byte) []byte {
	n := len(frame) - headerRoom
	if n < 126 {
		frame = frame[2:]
		frame[0], frame[1] = 0x81, 0x80|byte(n)
		clear(frame[2:6])
		return frame
	}
	frame[0], frame[1] = 0x81, 0x80|126
	binary.BigEndian.PutUint16(frame[2:], uint16(n))
	clear(frame[4:8])
	return frame
}

func (s script) appendStart(dst []byte, streamID, callID string) []byte {
	return fmt.Appendf(dst, `{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000000",`+
		`"streamSid":"%[1]s","callSid":"%[2]s","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},`+
		`"customParameters":{}},"streamSid":"%[1]s"}`, streamID, callID)
}

// appendMedia appends the message of a frame; number counts from 0.
func (s script) appendMedia(dst []byte, streamID string, number uint32) []byte {
	dst = append(dst, `{"event":"media","sequenceNumber":"`...)
	dst = strconv.AppendUint(dst, uint64(number)+2, 10)
	dst = append(dst, `","media":{"track":"inbound","chunk":"`...)
	dst = strconv.AppendUint(dst, uint64(number)+1, 10)
	dst = append(dst, `","timestamp":"`...)
	dst = strconv.AppendUint(dst, uint64(number)*20, 10)
	dst = append(dst, `","payload":"`...)
	var mark [markText]byte
	markFrame(mark[:], number)
	dst = append(dst, mark[:]...)
	dst = append(dst, s[int(number)%len(s)]...)
	dst = append(dst, `"},"streamSid":"`...)
	dst = append(dst, streamID...)
	return append(dst, `"}`...)
}
