package main

import (
	"context"
	"sync"

	"github.com/switchboard-voice/switchboard/call/campaign"
	campaignstore "github.com/switchboard-voice/switchboard/call/campaign/sqlstore"
	"github.com/switchboard-voice/switchboard/call/schedule"
	schedulestore "github.com/switchboard-voice/switchboard/call/schedule/sqlstore"
)

// dialers place calls by themselves.
type dialers struct {
	campaigns *campaign.Runner
	schedules *schedule.Scheduler
}

// openDialers makes those who place calls by themselves. What they are to do is
// kept in the database of the calls.
func (s *server) openDialers() error {
	campaigns := campaign.Config{Service: s.svc, Logger: s.log}
	schedules := schedule.Config{Service: s.svc, Logger: s.log}
	if s.cfg.database != "" {
		forCampaigns, err := campaignstore.Open(context.Background(), s.cfg.database)
		if err != nil {
			return err
		}
		s.closer = append(s.closer, forCampaigns.Close)
		forSchedules, err := schedulestore.Open(context.Background(), s.cfg.database)
		if err != nil {
			return err
		}
		s.closer = append(s.closer, forSchedules.Close)
		campaigns.Store, schedules.Store = forCampaigns, forSchedules
	}
	var err error
	if s.dialers.campaigns, err = campaign.New(campaigns); err != nil {
		return err
	}
	s.dialers.schedules, err = schedule.New(schedules)
	return err
}

// run has calls placed until ctx ends, and returns when those that are just being
// placed have been.
func (d *dialers) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { _ = d.campaigns.Run(ctx) }) // whose error is that of ctx
	both.Go(func() { _ = d.schedules.Run(ctx) })
	both.Wait()
}
