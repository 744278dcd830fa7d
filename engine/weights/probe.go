package weights

import (
	"fmt"
	"os"
	"runtime"

	"comfygo/engine/safetensors/filemap"
)

// Probe touches every page under the len(Data) bytes of e from byte from to byte to. Code that reads Data without
// filemap.Guard, such as C, calls it first: if the file was truncated meanwhile, Probe returns the error where the
// reader would end the process. The pages are in memory afterwards, so the reader finds them at once.
func (e Entry) Probe(from, to int) error {
	if from < 0 || to > len(e.Data) || from > to {
		return fmt.Errorf("probing %v: bytes %d to %d of %d", e, from, to, len(e.Data))
	}
	if e.owner == nil || from == to {
		return nil
	}
	data, page := e.Data[from:to], os.Getpagesize()
	var sum byte
	err := filemap.Guard(func() error {
		for i := 0; i < len(data); i += page {
			sum ^= data[i]
		}
		sum ^= data[len(data)-1]
		runtime.KeepAlive(sum)
		return nil
	})
	runtime.KeepAlive(e.owner)
	if err != nil {
		return fmt.Errorf("reading %v of %s: %w", e, e.File, err)
	}
	return nil
}
