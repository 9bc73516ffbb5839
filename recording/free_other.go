//go:build !unix || netbsd || openbsd || solaris || illumos || aix

package recording

import "errors"

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
