package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// upload stores the size bytes of r under key, as [Uploader] says, in any
// storage: what a storage without that power holds is read back.
func upload(ctx context.Context, storage Storage, key string, r io.ReaderAt, size int64) error {
	if u, ok := storage.(Uploader); ok {
		return u.Upload(ctx, key, r, size)
	}
	f, err := storage.Create(ctx, key)
	if errors.Is(err, ErrExists) {
		err := compare(ctx, storage, key, r, size)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		// Taken, and nothing there: what we were writing when we ended.
		if err := storage.Remove(ctx, key); err != nil {
			return err
		}
		f, err = storage.Create(ctx, key)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if _, err := io.Copy(f, heedful{ctx, io.NewSectionReader(r, 0, size)}); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.Commit(ctx); err != nil {
		return err
	}
	err = compare(ctx, storage, key, r, size)
	if errors.Is(err, ErrExists) {
		err = fmt.Errorf("%w: it has not kept what it was given", ErrUnavailable)
		return errors.Join(err, storage.Remove(ctx, key))
	}
	return err
}

// heedful is a reader that ends with its context.
type heedful struct {
	ctx context.Context
	io.Reader
}

func (h heedful) Read(p []byte) (int, error) {
	if h.ctx.Err() != nil {
		return 0, context.Cause(h.ctx)
	}
	return h.Reader.Read(p)
}

// compare returns nil if just the size bytes of r lie under key, and ErrExists
// if something else does.
func compare(ctx context.Context, storage Storage, key string, r io.ReaderAt, size int64) (err error) {
	f, err := storage.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if end != size {
		return fmt.Errorf("%w: %s has %d bytes there, %d here", ErrExists, key, end, size)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	const chunk = 32 << 10
	there, here := make([]byte, chunk), make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		n := min(chunk, size-at)
		if _, err := io.ReadFull(heedful{ctx, f}, there[:n]); err != nil {
			return err
		}
		if _, err := r.ReadAt(here[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(there[:n], here[:n]) {
			return fmt.Errorf("%w: %s differs after byte %d", ErrExists, key, at)
		}
	}
	return nil
}
