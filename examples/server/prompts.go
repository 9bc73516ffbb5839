package main

import (
	"bufio"
	"embed"
	"fmt"
	"strings"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// prompts/prompts.txt holds the words, the WAV files beside it their sound.
//
//go:embed prompts/prompts.txt prompts/*.wav
var promptFiles embed.FS

// prompt is something that can be said.
type prompt struct {
	words string
	pcm   []int16
	rate  int
}

// sound plays the prompt once.
func (p prompt) sound() audio.Reader { return audio.NewSamples(p.pcm, p.rate) }

// utterance is the prompt as an agent says it.
func (p prompt) utterance() call.Utterance { return call.Utterance{Audio: p.sound(), Text: p.words} }

// prompts are all there are, by name.
var prompts = loadPrompts()

func loadPrompts() map[string]prompt {
	list, err := promptFiles.Open("prompts/prompts.txt")
	if err != nil {
		panic(err) // it is part of the program
	}
	defer func() { _ = list.Close() }()
	all := map[string]prompt{"tone": loadPrompt("tone", "")}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		name, rest, _ := strings.Cut(lines.Text(), " ")
		_, words, _ := strings.Cut(strings.TrimSpace(rest), " ")
		all[name] = loadPrompt(name, strings.TrimSpace(words))
	}
	return all
}

func loadPrompt(name, words string) prompt {
	f, err := promptFiles.Open("prompts/" + name + ".wav")
	if err != nil {
		panic(err)
	}
	defer func() { _ = f.Close() }()
	channels, rate, err := audio.ReadWAV(f)
	if err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	return prompt{words: words, pcm: channels[0], rate: rate}
}
