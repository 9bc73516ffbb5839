package recording

import (
	"context"
	"io"
	"time"
)

// Storage holds recordings under keys, which [CheckKey] describes; any other is
// refused by every method with ErrInvalidKey. It may be used by many goroutines
// at once.
type Storage interface {
	// Name tells storages apart in records: lower-case letters, digits, hyphens.
	Name() string
	// Create begins a new file. It can be opened under its key only after it has
	// been committed. A key that is taken, or being written, is ErrExists:
	// nothing is ever overwritten.
	Create(ctx context.Context, key string) (File, error)
	// Open opens what was committed, or fails with ErrNotFound.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
	// URL returns an address at which the file can be fetched without other
	// credentials until ttl has passed, or fails with ErrNotFound. A storage
	// without addresses returns errors.ErrUnsupported.
	URL(ctx context.Context, key string, ttl time.Duration) (string, error)
	// Remove deletes the file and what is left of attempts to write it. Nothing
	// there is no error.
	Remove(ctx context.Context, key string) error
}

// File is a recording being written. It is used by one goroutine at a time,
// which calls either Commit or Abort at the end.
type File interface {
	// Write appends after the last Write.
	io.Writer
	// WriteAt may go past the end; what was never written between reads as
	// zero bytes. It does not move where Write goes on.
	io.WriterAt
	// Sync hands what was written to the device.
	Sync() error
	// Commit finishes the file and publishes it under its key. An error says
	// that this may not have happened; the data is then kept where it is.
	Commit(ctx context.Context) error
	// Abort drops the file. After Commit it does nothing.
	Abort() error
}

// An Uploader is a Storage that takes a whole file in one go, without a copy of
// its own.
type Uploader interface {
	// Upload stores the size bytes of r under key, and returns nil once the
	// storage has shown that it holds just these. What an earlier attempt has
	// left is used or cleared away: to repeat an upload whose fate is unknown is
	// safe. A key under which something else lies is ErrExists.
	Upload(ctx context.Context, key string, r io.ReaderAt, size int64) error
}
