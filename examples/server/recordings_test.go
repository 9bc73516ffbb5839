package main

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/recording/s3store"
)

// One call is recorded to a bucket, another to the directory of the server; each
// is erased where it is.
func TestCallsAreRecordedToABucket(t *testing.T) {
	s3 := s3test.Start(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s3test.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.SecretAccessKey)
	bucket := s3.Bucket(t)
	r := start(t, "RECORDING_URL", "s3://"+bucket+"/calls?region="+s3test.Region+"&endpoint="+url.QueryEscape(s3.URL())+"&spool="+url.QueryEscape(t.TempDir())+"&local="+url.QueryEscape(t.TempDir()))
	r.carrier.Otherwise(hasty)

	inBucket := r.place(strings.Replace(seedCall, `"local"`, `"s3"`, 1))
	here := r.place(seedCall)
	for _, id := range []string{inBucket, here} {
		r.follow(id)
	}
	if err := r.recordings.spool.Close(t.Context()); err != nil { // it brings away what is left
		t.Fatal(err)
	}
	var addresses []string
	for id, begins := range map[string]string{inBucket: s3.URL() + "/" + bucket + "/calls/", here: r.url + "recordings/"} {
		var kept struct {
			URL      string `json:"recording_url"`
			Size     int    `json:"size_bytes"`
			Duration int    `json:"duration"`
			Format   string `json:"format"`
		}
		r.json(r.ask("mine", "GET", "api/calls/"+id+"/recording", ""), 200, &kept)
		if !strings.HasPrefix(kept.URL, begins) || kept.Format != "wav" || kept.Duration == 0 {
			t.Errorf("recording is %+v, want its address below %s", kept, begins)
		}
		wav := r.answer(r.ask("", "GET", kept.URL, ""), 200)
		channels, _, err := audio.ReadWAV(bytes.NewReader(wav))
		if err != nil || len(channels) != 2 || len(wav) != kept.Size {
			t.Errorf("%d channels in %d bytes of %d, %v", len(channels), len(wav), kept.Size, err)
		}
		addresses = append(addresses, kept.URL)
	}
	text := string(r.answer(r.ask("", "GET", "metrics", ""), 200))
	for _, want := range []string{"switchboard_recordings_pending 0\n", "switchboard_recordings_uploaded_total 1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, id := range []string{inBucket, here} {
		r.answer(r.ask("mine", "DELETE", "api/calls/"+id, ""), http.StatusNoContent)
	}
	for _, address := range addresses {
		r.answer(r.ask("", "GET", address, ""), 404)
	}
}

func TestBucketsInSettings(t *testing.T) {
	for v, want := range map[string]*s3store.Storage{
		"s3://my-bucket":     {Bucket: "my-bucket"},
		"s3://my-bucket/a/b": {Bucket: "my-bucket", Prefix: "a/b"},
		"s3://my-bucket/?region=eu-1&endpoint=http://127.0.0.1:7070&sse=aws:kms&kms_key=k": {
			Bucket: "my-bucket", Region: "eu-1", Endpoint: "http://127.0.0.1:7070", PathStyle: true, Encryption: s3store.SSEKMS, KMSKeyID: "k",
		},
		"s3://my-bucket?endpoint=https://s3.example.com&path_style=false&public_endpoint=https://files.example.com": {
			Bucket: "my-bucket", Endpoint: "https://s3.example.com", PublicEndpoint: "https://files.example.com",
		},
	} {
		s, err := parseSettings(nil, from("RECORDING_URL", v))
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		if !sameBucket(s.bucket, want) || s.spool != standardSpool || s.recordings != standardRecordings {
			t.Errorf("%s: %+v, %q, %q", v, s.bucket, s.spool, s.recordings)
		}
	}
	for v, says := range map[string]string{
		"s3:bucket":                      "is not s3://",
		"s3://":                          "is not s3://",
		"s3://me:one-secret@bucket":      "is not s3://",
		"s3://my-bucket?color=one":       `option "color"`,
		"s3://my-bucket?region=":         `option "region"`,
		"s3://my-bucket?region=a&region": `option "region"`,
		"s3://my-bucket?path_style=7up":  "option path_style",
		"s3://my-bucket?sse=rot13":       "Encryption",
		"s3://my-bucket?endpoint=here":   "Endpoint",
		"s3://B":                         "Bucket",
	} {
		_, err := parseSettings(nil, from("RECORDING_URL", v))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "one-secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", v, err, says)
		}
	}
}

func sameBucket(a, b *s3store.Storage) bool {
	return a.Bucket == b.Bucket && a.Prefix == b.Prefix && a.Region == b.Region && a.Endpoint == b.Endpoint &&
		a.PublicEndpoint == b.PublicEndpoint && a.PathStyle == b.PathStyle && a.Encryption == b.Encryption && a.KMSKeyID == b.KMSKeyID
}
