package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// A mark is what a Spool remembers of a key, as a file that holds the key in a
// hidden directory of Local.
type mark string

const (
	markUp      mark = ".up"      // it was brought away, not long ago
	markRemoved mark = ".removed" // it may have to be removed from Remote
)

const markDir = ".spool"

// markName is of one length for all keys, none of which leads out of the
// directory.
func markName(key string, m mark) string {
	sum := sha256.Sum256([]byte(key))
	return markDir + "/" + hex.EncodeToString(sum[:16]) + string(m)
}

// mark puts a mark on a key. It lasts through a loss of power.
func (s *Spool) mark(key string, m mark) error {
	root, err := s.Local.makeRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(markDir, dirMode); err != nil {
		return err
	}
	f, err := root.OpenFile(markName(key, m), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(root, markDir)
}

func (s *Spool) unmark(key string, m mark) error {
	root, err := s.Local.makeRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(markName(key, m)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Spool) marked(key string, m mark) (bool, error) {
	root, err := s.Local.makeRoot()
	if err != nil {
		return false, err
	}
	defer root.Close()
	_, err = root.Lstat(markName(key, m))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// listMarks returns the keys that have been removed.
func (s *Spool) listMarks() (removed []string, err error) {
	err = s.walkMarks(func(root *os.Root, name string, _ fs.FileInfo) error {
		if !strings.HasSuffix(name, string(markRemoved)) {
			return nil
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		key, err := io.ReadAll(io.LimitReader(f, maxKey+1))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		// Half a key was never promised to anybody.
		if k := string(key); CheckKey(k) == nil && markName(k, markRemoved) == name {
			removed = append(removed, k)
		}
		return nil
	})
	return removed, err
}

// forget takes off the marks of what was brought away long ago.
func (s *Spool) forget() {
	err := s.walkMarks(func(root *os.Root, name string, info fs.FileInfo) error {
		if strings.HasSuffix(name, string(markUp)) && time.Since(info.ModTime()) > rememberTime {
			return root.Remove(name)
		}
		return nil
	})
	if err != nil {
		s.log().Warn("old marks stay in the spool", "err", err)
	}
}

func (s *Spool) walkMarks(visit func(root *os.Root, name string, info fs.FileInfo) error) error {
	root, err := s.Local.makeRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), markDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := visit(root, markDir+"/"+e.Name(), info); err != nil {
			return err
		}
	}
	return nil
}
