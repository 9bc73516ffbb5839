// Package s3store keeps recordings on S3, or on any server with its API.
//
// A recording that is being written cannot be kept there: objects are written
// whole. Calls should record through a [recording.Spool] in front of a Storage,
// which writes to a local directory and calls [Storage.Upload] later; Create is
// there too, over a temporary file, which a crash leaves behind.
//
// The keys in use need s3:GetObject, s3:PutObject, s3:DeleteObject and
// s3:AbortMultipartUpload on the objects, and s3:ListBucket and
// s3:ListBucketMultipartUploads on the bucket: without the former S3 answers 403
// where it means that nothing is there.
package s3store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Storage is a bucket, or the part of one below a prefix. Only Bucket is needed
// where the environment says the rest. It may be used by many goroutines at once;
// its fields must not change once it is in use.
//
// Files are sent and read as streams, with some tens of kilobytes of memory each.
// Each has a CRC-32, which S3 checks as it arrives and tells again when it is
// asked; a server that does not tell is read back.
type Storage struct {
	// StorageName tells this storage apart in records. Empty means "s3".
	StorageName string
	Bucket      string
	// Prefix stands before every key, as the path of a directory: "calls" or
	// "a/b". Empty means none.
	Prefix string
	// Region is where the bucket is. Empty means that of AWS_REGION or of the
	// shared configuration, and us-east-1 without either.
	Region string
	// Endpoint is the address of a server that is not Amazon's, such as
	// "https://s3.example.com". Empty means Amazon's, or AWS_ENDPOINT_URL_S3.
	Endpoint string
	// PublicEndpoint is what addresses given out by URL begin with, if others
	// reach the server by another address than Endpoint.
	PublicEndpoint string
	// PathStyle puts the bucket into the path of addresses and not into the name
	// of the host, as most servers that are not Amazon's need.
	PathStyle bool

	// AccessKeyID and SecretAccessKey, with SessionToken if they are temporary,
	// are the credentials. Empty means those that the AWS SDK finds: in the
	// environment, the shared configuration, or the role of the machine.
	AccessKeyID     string
	SecretAccessKey telephony.Secret
	SessionToken    telephony.Secret

	// Encryption is how the server encrypts what it keeps. Empty leaves it to the
	// bucket.
	Encryption Encryption
	// KMSKeyID names the key for SSEKMS. Empty means the account's own.
	KMSKeyID string

	// PartSize is from which size on files are sent in parts, and how large
	// these are, in bytes. Zero means 16 MiB; S3 has 5 MiB as the least.
	PartSize int64
	// Timeout bounds each request, and each wait for bytes of a file that is
	// read; a request that sends a file may take longer by a second for every 64
	// kB. Zero means 30 seconds.
	Timeout time.Duration
	// Staging is where Create puts files until they are committed. Empty means
	// the directory for temporary files.
	Staging string

	mu        sync.Mutex
	client    *s3.Client
	presigner *s3.PresignClient
	transport *http.Transport
	writing   map[string]*file // by key
}

// Encryption is how a server encrypts what it keeps.
type Encryption string

// How a server encrypts. The names are S3's.
const (
	SSES3  Encryption = "AES256"  // with keys that S3 has
	SSEKMS Encryption = "aws:kms" // with keys of the Key Management Service
)

const (
	defaultRegion   = "us-east-1"
	defaultTimeout  = 30 * time.Second
	defaultPartSize = 16 << 20
	minPartSize     = 5 << 20 // https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxPartSize     = 5 << 30
	slowestBytes    = 64 << 10           // a second
	longestURL      = 7 * 24 * time.Hour // that a signature can be valid
	attempts        = 3
)

// Name returns StorageName, or "s3".
func (s *Storage) Name() string { return cmp.Or(s.StorageName, "s3") }

var (
	nameShape   = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	bucketShape = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
)

// Validate tells what is wrong with the settings. It asks nobody.
func (s *Storage) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("s3store: "+format, args...))
	}
	if !nameShape.MatchString(s.Name()) {
		wrong("StorageName %q is not made of 1 to 32 lower-case letters, digits and hyphens", s.StorageName)
	}
	if !bucketShape.MatchString(s.Bucket) {
		wrong("Bucket %q is not the name of a bucket", s.Bucket)
	}
	if s.Prefix != "" && recording.CheckKey(s.Prefix) != nil {
		wrong("Prefix %q is not like a key", s.Prefix)
	}
	for name, address := range map[string]string{"Endpoint": s.Endpoint, "PublicEndpoint": s.PublicEndpoint} {
		if address != "" && !isOrigin(address) {
			wrong("%s is not http or https and a host", name)
		}
	}
	if (s.AccessKeyID == "") != (s.SecretAccessKey == "") || s.SessionToken != "" && s.AccessKeyID == "" {
		wrong("AccessKeyID and SecretAccessKey go together, and SessionToken with them")
	}
	if s.Encryption != "" && s.Encryption != SSES3 && s.Encryption != SSEKMS {
		wrong("Encryption %q is not %s or %s", s.Encryption, SSES3, SSEKMS)
	}
	if s.KMSKeyID != "" && s.Encryption != SSEKMS {
		wrong("KMSKeyID is for Encryption %s", SSEKMS)
	}
	if s.PartSize != 0 && (s.PartSize < minPartSize || s.PartSize > maxPartSize) {
		wrong("PartSize %d is not between %d and %d", s.PartSize, int64(minPartSize), int64(maxPartSize))
	}
	if s.Timeout < 0 {
		wrong("Timeout is negative")
	}
	return errors.Join(problems...)
}

// isOrigin reports whether an address is a scheme and a host, and a path at most.
func isOrigin(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// open returns the client, which it makes at first.
func (s *Storage) open(ctx context.Context) (*s3.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithRetryMaxAttempts(attempts),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if s.Region != "" {
		options = append(options, config.WithRegion(s.Region))
	}
	if s.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			s.AccessKeyID, string(s.SecretAccessKey), string(s.SessionToken))))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	cfg.Credentials = keys{cfg.Credentials}
	s.transport = newTransport(cfg.HTTPClient)
	client := &http.Client{
		Transport:     s.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	at := func(address string) *s3.Client {
		return s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.HTTPClient = client
			o.UsePathStyle = s.PathStyle
			if address != "" {
				o.BaseEndpoint = &address
			}
		})
	}
	s.client = at(s.Endpoint)
	s.presigner = s3.NewPresignClient(at(cmp.Or(s.PublicEndpoint, s.Endpoint)))
	return s.client, nil
}

// newTransport returns the SDK's own transport, with what AWS_CA_BUNDLE has added
// to it, and with bounds.
func newTransport(client aws.HTTPClient) *http.Transport {
	t := &http.Transport{}
	if b, ok := client.(*awshttp.BuildableClient); ok {
		t = b.GetTransport()
	}
	t.Proxy = http.ProxyFromEnvironment
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 5 * time.Second
	t.MaxIdleConnsPerHost = 16
	t.IdleConnTimeout = 30 * time.Second
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// CloseIdleConnections closes the connections that are kept for later.
func (s *Storage) CloseIdleConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// objectKey is where the file of key lies in the bucket.
func (s *Storage) objectKey(key string) *string {
	return aws.String(path.Join(s.Prefix, key))
}

// within bounds a request that carries size bytes.
func (s *Storage) within(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout)+time.Duration(size/slowestBytes)*time.Second)
}

// head asks about an object.
func (s *Storage) head(ctx context.Context, client *s3.Client, key string) (*s3.HeadObjectOutput, error) {
	ctx, cancel := s.within(ctx, 0)
	defer cancel()
	out, err := client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.Bucket, Key: s.objectKey(key), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err == nil && out.ETag == nil {
		err = fmt.Errorf("%w: somebody else answers", recording.ErrUnavailable) // who wants people to log in, say
	}
	return out, err
}

// URL returns a signed address, which serves ranges, so that a browser can seek.
// It is valid for ttl, up to a week, and not longer than temporary credentials
// are.
func (s *Storage) URL(ctx context.Context, key string, ttl time.Duration) (string, error) {
	address, err := s.url(ctx, key, ttl)
	return address, wrap("url", err)
}

func (s *Storage) url(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if err := recording.CheckKey(key); err != nil {
		return "", err
	}
	client, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	if _, err := s.head(ctx, client, key); err != nil {
		return "", err
	}
	signed, err := s.presigner.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.Bucket, Key: s.objectKey(key),
	}, s3.WithPresignExpires(max(time.Second, min(ttl, longestURL))))
	if err != nil {
		return "", err
	}
	return signed.URL, nil
}

// Remove deletes the file, and parts that attempts to send it have left. Who
// still writes it cannot publish it any more.
func (s *Storage) Remove(ctx context.Context, key string) error {
	return wrap("remove", s.remove(ctx, key))
}

func (s *Storage) remove(ctx context.Context, key string) error {
	if err := recording.CheckKey(key); err != nil {
		return err
	}
	client, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.writing, key)
	s.mu.Unlock()
	return errors.Join(s.abortParts(ctx, client, key), s.delete(ctx, client, key))
}

func (s *Storage) delete(ctx context.Context, client *s3.Client, key string) error {
	ctx, cancel := s.within(ctx, 0)
	defer cancel()
	_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: s.objectKey(key)})
	if errors.Is(reasonOf(err), recording.ErrNotFound) {
		return nil // some servers say so
	}
	return err
}
