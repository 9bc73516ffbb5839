package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/switchboard-voice/switchboard/recording"
)

// Error is what S3 or the way to it has refused. It wraps recording.ErrNotFound,
// ErrExists, ErrDenied or ErrUnavailable, and the error of the SDK. Its text
// holds neither credentials nor addresses.
type Error struct {
	Op string // what was tried
	// Status is that of the reply and Code is S3's word for the reason; 0 and
	// empty if there was no reply.
	Status int
	Code   string
	// RequestID is what Amazon's support asks for.
	RequestID string

	reason error
	err    error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "s3store: %s: %v", e.Op, e.reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d %s", e.Status, e.Code)
		if e.RequestID != "" {
			fmt.Fprintf(&b, ", request %s", e.RequestID)
		}
		b.WriteString(")")
		return b.String()
	}
	fmt.Fprintf(&b, ": %s", textOf(e.err))
	return b.String()
}

func (e *Error) Unwrap() []error { return []error{e.reason, e.err} }

// textOf tells what went wrong without a reply. What the SDK itself says begins
// with the whole address.
func textOf(err error) string {
	var transport *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case errors.Is(err, errCredentials):
		return "no credentials are found"
	case errors.As(err, &transport):
		return transport.Err.Error()
	}
	return fmt.Sprintf("%T", err)
}

// errCredentials tells that no credentials could be had, which the SDK has no type
// for.
var errCredentials = errors.New("s3store: no credentials")

// keys are credentials that tell when there are none.
type keys struct{ aws.CredentialsProvider }

func (k keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := k.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", errCredentials, err)
	}
	return c, err
}

// wrap names the deed, and makes an Error of what the SDK returned.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if !fromSDK(err) {
		return fmt.Errorf("s3store: %s: %w", op, err)
	}
	e := &Error{Op: op, Code: codeOf(err), reason: reasonOf(err), err: err}
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) {
		e.Status = reply.HTTPStatusCode()
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		e.RequestID = request.ServiceRequestID()
	}
	return e
}

// fromSDK reports whether an error has come out of a request.
func fromSDK(err error) bool {
	return errors.As(err, new(*smithy.OperationError))
}

// codeOf is S3's word for the reason.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// denied are the words that come with a status of 400.
var denied = map[string]bool{
	"ExpiredToken": true, "InvalidToken": true, "TokenRefreshRequired": true, "InvalidAccessKeyId": true,
	"AuthorizationHeaderMalformed": true, "RequestExpired": true,
}

// reasonOf returns which of the errors of package recording an error of the SDK
// is, and any other error as it is.
func reasonOf(err error) error {
	if !fromSDK(err) {
		return err
	}
	status := 0
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) {
		status = reply.HTTPStatusCode()
	}
	code := codeOf(err)
	switch {
	case status == http.StatusNotFound && code != "NoSuchBucket" && code != "NoSuchUpload":
		return recording.ErrNotFound
	case status == http.StatusPreconditionFailed:
		return recording.ErrExists
	case status == http.StatusUnauthorized, status == http.StatusForbidden, denied[code],
		errors.Is(err, errCredentials):
		return recording.ErrDenied
	}
	return recording.ErrUnavailable
}
