//go:build !linux

package folders

import (
	"errors"
	"os"
)

func openAnonymous(*os.Root) (*os.File, error) { return nil, errors.ErrUnsupported }

func nameAnonymous(*os.File, *os.Root, string) error { return errors.ErrUnsupported }
