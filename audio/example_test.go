package audio_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
)

func ExampleAppendDecode() {
	wire := []byte{0xFF, 0x80, 0x00} // silence and the two largest samples
	var pcm []int16                  // use it again for the next frame
	pcm = audio.AppendDecode(pcm[:0], audio.MuLaw, wire)
	fmt.Println(pcm)
	// Output: [0 32124 -32124]
}

func ExampleResampler() {
	r, err := audio.NewResampler(8000, 24000)
	if err != nil {
		fmt.Println(err)
		return
	}
	var out []int16
	for range 3 {
		frame := make([]int16, 160) // 20 ms from the telephone
		out = r.Append(out[:0], frame)
		fmt.Println(len(out), "samples, late by", r.Delay())
	}
	// Output:
	// 480 samples, late by 2.791666ms
	// 480 samples, late by 2.791666ms
	// 480 samples, late by 2.791666ms
}

// Speech from a service that answers with bare samples at 24 kHz, after half a
// second of silence, played at the rate of the telephone.
func ExampleConcat() {
	body := strings.NewReader(strings.Repeat("\x00\x10", 24000)) // of an answer over HTTP
	speech := audio.Decoder(body, audio.Format{Encoding: audio.PCM16, Rate: 24000})
	r := audio.Concat(audio.Silence(500*time.Millisecond, 8000), speech)

	frame := make([]int16, 160)
	var total int
	for {
		n, err := r.ReadPCM(frame)
		total += n
		if err != nil {
			break
		}
	}
	fmt.Println(r.Rate(), audio.Duration(total, r.Rate()).Round(10*time.Millisecond))
	// Output: 8000 1.5s
}

func ExampleDetector() {
	file, err := os.ReadFile("testdata/speech/en-m.wav")
	if err != nil {
		fmt.Println(err)
		return
	}
	speech, err := audio.NewWAVReader(bytes.NewReader(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	// A second of a quiet line on both sides.
	line := func() audio.Reader { return audio.Silence(time.Second, 8000) }
	r := audio.Concat(line(), speech, line())

	d, err := audio.NewDetector(audio.DetectorConfig{Hangover: 500 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := make([]int16, 160)
	var events []audio.Activity
	for {
		n, err := r.ReadPCM(frame)
		events = d.Append(events, frame[:n])
		if err != nil {
			break
		}
	}
	for _, e := range events {
		at := audio.Duration(int(e.At), 8000)
		fmt.Println("speaking:", e.Speaking, "at", at.Round(100*time.Millisecond))
	}
	// Output:
	// speaking: true at 1s
	// speaking: false at 6.2s
}

func ExampleDTMFDetector() {
	pcm, err := audio.AppendDTMF(nil, "12#", 0, 0, 8000)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := audio.NewDTMFDetector(8000)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, press := range d.Append(nil, pcm) {
		fmt.Printf("%c ", press.Digit)
	}
	// Output: 1 2 #
}

// Wait for the beep of a voicemail box, then leave a message.
func ExampleToneDetector() {
	d, err := audio.NewToneDetector(audio.ToneConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	line := append(audiotest.Tone(1000, 400*time.Millisecond, 8000), make([]int16, 800)...)
	for _, beep := range d.Append(nil, line) {
		fmt.Printf("%.0f Hz for %v\n", beep.Hz, audio.Duration(int(beep.Samples), 8000))
	}
	// Output: 1000 Hz for 400ms
}

func ExampleWAVWriter() {
	file, err := os.CreateTemp("", "call*.wav")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }()

	w, err := audio.NewWAVWriter(file, audio.Telephone, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	caller, agent := int16(1000), int16(-1000)
	for range 8000 {
		if err := w.Write([]int16{caller, agent}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := w.Flush(); err != nil { // from now on, players see a second of sound
		fmt.Println(err)
		return
	}
	info, err := file.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Frames(), "frames,", info.Size(), "bytes")
	// Output: 8000 frames, 16058 bytes
}

func ExampleRing() {
	r := audio.NewRing(4)
	dropped := r.Overwrite([]int16{1, 2, 3, 4, 5})
	p := make([]int16, 2)
	r.Read(p)
	fmt.Println(dropped, p, r.Len())
	// Output: 1 [2 3] 2
}
