//go:build !linux

package folders

import (
	"errors"
	"os"
)

func openAnonymous(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func nameAnonymous(*os.File, string) error { return errors.ErrUnsupported }
