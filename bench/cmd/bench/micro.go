package main

import (
	"time"

	"github.com/switchboard-voice/switchboard/bench/micro"
)

func (s *session) codec() error {
	s.goals(micro.G711(s.micro)...)
	s.goals(micro.Messages(s.micro)...)
	return nil
}

func (s *session) resample() error {
	goals, tables, err := micro.Resampling(s.micro)
	s.goals(goals...)
	s.report.Tables = append(s.report.Tables, tables...)
	return err
}

func (s *session) vad() error {
	goals, tables, err := micro.Voice(s.micro)
	s.goals(goals...)
	s.report.Tables = append(s.report.Tables, tables...)
	return err
}

func (s *session) dtmf() error {
	goals, tables, err := micro.Keys(s.micro, pick(s, 100, 25))
	s.goals(goals...)
	s.report.Tables = append(s.report.Tables, tables...)
	return err
}

func (s *session) pacer() error {
	s.goals(micro.Pacing(pick(s, 5, 1), pick(s, 2*time.Second, time.Second))...)
	return nil
}
