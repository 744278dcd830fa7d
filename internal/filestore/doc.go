// Package filestore keeps input, output and temp files of several servers and workers: in NATS or in a bucket of an S3 server.
//
// It must not know where the files lie on this machine, nor what is in them.
package filestore

import (
	"errors"
	"fmt"
	"io/fs"

	"comfygo/folders"
)

// trouble is an error of a store, with what was to be done there.
type trouble struct {
	text string
	err  error
}

func (t *trouble) Error() string { return t.text }

func (t *trouble) Unwrap() []error { return []error{folders.ErrRemote, t.err} }

// failed adds the operation, the store and advice to an error; errors that are answers stay as they are.
func failed(doing, name, where, hint string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	text := fmt.Sprintf("%s: %s %s: %v", folders.ErrRemote, doing, where, err)
	if name != "" {
		text = fmt.Sprintf("%s: %s %s in %s: %v", folders.ErrRemote, doing, name, where, err)
	}
	if hint != "" {
		text += "; " + hint
	}
	return &trouble{text, err}
}
