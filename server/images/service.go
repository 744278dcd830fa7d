// Package images makes views, previews and masks of image files, a bounded number at a time and within the process's budget
// of memory.
package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/memory"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

const (
	// atATime bounds the CPUs that images take.
	atATime = 2
	// maxBytes bounds the files that are read.
	maxBytes = 1 << 30
)

// Limits are those of the server's own work on images: the default ones with Pillow's bound of pixels, above which ComfyUI
// refuses previews.
var Limits = func() codec.Limits {
	l := codec.DefaultLimits
	l.Pixels = 178956970
	return l
}()

// Service decodes images.
type Service struct {
	Disk disk.Disk
	// Limits bound decoding, Budget its memory; nil means the process's budget.
	Limits codec.Limits
	Budget imaging.Budget

	tokens chan struct{} // one for each image that may be worked on at a time
}

// New returns a service that reads files from a disk.
func New(d disk.Disk) *Service {
	return &Service{Disk: d, Limits: Limits, tokens: make(chan struct{}, atATime)}
}

// work waits for its turn and calls do; what goes wrong is the file's or the client's doing, but a lack of memory.
func (s *Service) work(ctx context.Context, do func() error) error {
	select {
	case s.tokens <- struct{}{}:
		defer func() { <-s.tokens }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := do()
	var size *imaging.SizeError
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.As(err, &size):
		return reply.Refuse(http.StatusInsufficientStorage, "out_of_memory", "The image needs more memory than is free", err.Error())
	}
	return reply.Trouble("working on an image: %w", err)
}

// source reads a file.
func (s *Service) source(path string) (imaging.Source, error) {
	f, info, err := s.Disk.Open(path)
	if err != nil {
		return imaging.Source{}, err
	}
	if err := f.Close(); err != nil {
		return imaging.Source{}, err
	}
	if err := memory.Process.Check(fmt.Sprintf("a file of %d bytes", info.Size()), uint64(max(info.Size(), 0))); err != nil {
		return imaging.Source{}, err
	}
	data, err := s.Disk.Read(path, maxBytes)
	if err != nil {
		return imaging.Source{}, err
	}
	return s.of(data), nil
}

func (s *Service) of(data []byte) imaging.Source {
	return imaging.Source{Data: data, Limits: s.Limits, Budget: s.Budget}
}

// Preview returns the first frame of a file as "webp" or "jpeg"; opaque drops transparency.
func (s *Service) Preview(ctx context.Context, path, format string, quality int, opaque bool) ([]byte, error) {
	var b bytes.Buffer
	err := s.work(ctx, func() error {
		source, err := s.source(path)
		if err != nil {
			return err
		}
		return source.Preview(ctx, &b, format, quality, opaque)
	})
	return b.Bytes(), err
}

// PreviewData is Preview of an image that was read already.
func (s *Service) PreviewData(ctx context.Context, data []byte, format string, quality int, opaque bool) ([]byte, error) {
	var b bytes.Buffer
	err := s.work(ctx, func() error { return s.of(data).Preview(ctx, &b, format, quality, opaque) })
	return b.Bytes(), err
}

// Channel writes the colors ("rgb") or the alpha ("a") of the first frame of a file as PNG.
func (s *Service) Channel(ctx context.Context, w io.Writer, path, name string) error {
	return s.work(ctx, func() error {
		source, err := s.source(path)
		if err != nil {
			return err
		}
		return source.Channel(ctx, w, name)
	})
}

// Mask writes the first frame of the original with the alpha of the mask, as "webp" or "png"; texts go into a PNG.
func (s *Service) Mask(ctx context.Context, w io.Writer, original, mask, format string, texts []imaging.Text) error {
	return s.work(ctx, func() error {
		alpha, err := s.source(mask)
		if err != nil {
			return err
		}
		source, err := s.source(original)
		if err != nil {
			return err
		}
		return source.Mask(ctx, w, alpha, format, texts)
	})
}
