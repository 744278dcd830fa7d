package access

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"

	"github.com/labstack/echo/v4"

	"comfygo/server/reply"
)

// blockSize is what a file counts at least: an empty file takes room, too.
const blockSize = 4096

// Room refuses an upload of size bytes to a folder below the base folder dir when the files in dir would exceed the total that the
// caller's role may keep. A file at replaced, which the upload takes the place of, does not count; "" is none.
func (s *Service) Room(c echo.Context, dir string, size int64, replaced string) error {
	if !s.Owned() {
		return nil
	}
	most := s.Gate.Limits(s.Who(c)).UploadTotal
	if most <= 0 {
		return nil
	}
	used, err := usedBytes(c.Request().Context(), dir, replaced)
	if err != nil {
		return fmt.Errorf("counting uploads: %w", err)
	}
	if size = max(size, blockSize); used+size <= most {
		return nil
	}
	const mb = 1 << 20
	return reply.Refuse(http.StatusRequestEntityTooLarge, "upload_quota_exceeded", "The files of your uploads would exceed their limit", fmt.Sprintf(
		"the folder %s holds %.2f MB of files and the upload has %.2f MB, which is more than the %.2f MB of your role: delete files, or ask an administrator to raise upload_total_bytes",
		folderName(dir, s.Who(c).ID), float64(used)/mb, float64(size)/mb, float64(most)/mb))
}

// folderName is what users call a base folder: owners' folders lie in it.
func folderName(dir, owner string) string {
	if base := filepath.Base(dir); base != owner && base != "@"+owner {
		return base
	}
	return filepath.Base(filepath.Dir(dir))
}

// usedBytes adds the files in a folder; a folder that is missing has none.
func usedBytes(ctx context.Context, dir, replaced string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil: // it has gone meanwhile
			return nil //nolint:nilerr // what is gone takes no room
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case path == replaced:
			return nil
		case d.IsDir():
			sum += blockSize
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += max(info.Size(), blockSize)
		}
		return nil
	})
	return sum, err
}
