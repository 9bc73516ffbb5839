// Package speech finds the library's spoken sentences and makes sound of them
// that detectors are tried on.
package speech

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/switchboard-voice/switchboard/audio"
)

// Root is the directory of the library: this one, or one above it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "audio", "testdata", "speech")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("speech: not within the library's directory")
		}
		dir = up
	}
}

// Sentences are the library's spoken sentences, at 8 kHz.
func Sentences() ([][]int16, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(root, "audio", "testdata", "speech", "*.wav"))
	if err != nil {
		return nil, err
	}
	var all [][]int16
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		samples, rate, err := audio.ReadWAV(bytes.NewReader(file))
		if err != nil || rate != 8000 {
			return nil, fmt.Errorf("speech: %s: rate %d, %w", filepath.Base(name), rate, err)
		}
		all = append(all, samples[0])
	}
	if len(all) == 0 {
		return nil, errors.New("speech: no sentences")
	}
	return all, nil
}

// Whole is all sentences one after the other.
func Whole() ([]int16, error) {
	all, err := Sentences()
	return slices.Concat(all...), err
}
