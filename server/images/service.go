// Package images decodes image files for views, previews and masks, a bounded number at a time.
package images

import "comfygo/server/disk"

// Service decodes images.
type Service struct {
	Disk disk.Disk

	tokens chan struct{} // one for each image that may be worked on at a time
}

// New returns a service that reads files from a disk.
func New(d disk.Disk) *Service { return &Service{Disk: d, tokens: make(chan struct{}, imagesAtATime)} }
