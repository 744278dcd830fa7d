package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"comfygo/engine/weights/pickle"
)

// magic opens the files of torch.save before 1.6.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

// startsPickle reports whether a file begins as a pickle of protocols 2 to 5.
func startsPickle(head []byte) bool {
	return len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5
}

// loadLegacy reads the container before zip: pickles of the magic number, the version, the writer's integer sizes, the
// value and the list of storage keys, then each storage as a count and its elements.
func loadLegacy(f *torchFile) (any, error) {
	all, pos := f.m.Bytes(), 0
	next := func(what string, refs func(id any) (any, error)) (any, error) {
		v, n, err := f.unpickle(all[pos:], refs)
		pos += n
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return v, nil
	}
	v, err := next("magic number", nil)
	if err != nil {
		return nil, err
	}
	if n, ok := v.(*big.Int); !ok || n.Cmp(magic) != 0 {
		return nil, errors.New("a pickle without torch's magic number is no weight file")
	}
	if v, err = next("version", nil); err != nil {
		return nil, err
	}
	if n, ok := v.(int64); !ok || n != 1001 {
		return nil, errors.New("version of the format is not 1001")
	}
	if v, err = next("system information", nil); err != nil {
		return nil, err
	}
	if d, ok := v.(*pickle.Dict); !ok {
		return nil, errors.New("system information is no dict")
	} else if little, ok := d.Get("little_endian"); ok && little != true {
		return nil, errors.New("byte order is not little")
	}
	value, err := next("value", func(id any) (any, error) { return f.storageOf(id, nil) })
	if err != nil {
		return nil, err
	}
	if len(f.storages) == 0 && len(f.foreign) > 0 {
		return nil, refusal(f.foreign[0])
	}
	keys, err := next("storage keys", nil)
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pickle.List)
	if !ok {
		return nil, errors.New("storage keys are no list")
	}
	for _, k := range list.Items {
		key, _ := k.(string)
		if pos, err = f.legacyStorage(key, pos); err != nil {
			return nil, fmt.Errorf("storage %q: %w", key, err)
		}
	}
	return value, nil
}

// legacyStorage attaches the storage that lies at pos and returns where the next one starts.
func (f *torchFile) legacyStorage(key string, pos int) (int, error) {
	s, ok := f.storages[key]
	if !ok || s.data != nil {
		return 0, errors.New("listed but not used, or listed twice")
	}
	all := f.m.Bytes()
	if len(all)-pos < 8 {
		return 0, errors.New("file ends before it: truncated file?")
	}
	if n := binary.LittleEndian.Uint64(all[pos:]); n != s.count {
		return 0, fmt.Errorf("%d elements in the file, %d expected", n, s.count)
	}
	pos += 8
	size, err := s.size()
	if err != nil {
		return 0, err
	}
	if size > uint64(len(all)-pos) {
		return 0, errors.New("reaches beyond the end of the file: truncated file?")
	}
	end := pos + int(size)
	s.data, s.offset, s.owner = all[pos:end:end], int64(pos), f.m
	return end, nil
}
