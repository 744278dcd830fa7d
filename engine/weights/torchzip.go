package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// zipMagic opens the files of torch.save since 1.6.
const zipMagic = "PK\x03\x04"

// loadZip reads the zip container that torch.save writes since 1.6: PREFIX/data.pkl and PREFIX/data/KEY.
func loadZip(f *torchFile) (any, error) {
	z, err := zip.NewReader(bytes.NewReader(f.m.Bytes()), int64(len(f.m.Bytes())))
	if err != nil {
		return nil, fmt.Errorf("reading the zip directory: %w: truncated file?", err)
	}
	members := make(map[string]*zip.File, len(z.File))
	prefix := ""
	for _, m := range z.File {
		if _, dup := members[m.Name]; dup {
			return nil, fmt.Errorf("member %q occurs twice", m.Name)
		}
		members[m.Name] = m
		if dir, ok := strings.CutSuffix(m.Name, "data.pkl"); ok && strings.Count(dir, "/") <= 1 && (dir == "" || strings.HasSuffix(dir, "/")) {
			prefix = dir
		}
	}
	main := members[prefix+"data.pkl"]
	if main == nil {
		return nil, errors.New("a zip archive without data.pkl is no weight file")
	}
	if order := members[prefix+"byteorder"]; order != nil {
		b, _, err := f.member(order, 16)
		if err != nil || string(b) != "little" {
			return nil, fmt.Errorf("byte order %q is not little", b)
		}
	}
	data, _, err := f.member(main, maxPickle)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	v, _, err := f.unpickle(data, func(id any) (any, error) {
		return f.storageOf(id, func(s *storage) error {
			m := members[prefix+"data/"+s.key]
			if m == nil {
				return errors.New("not in the file")
			}
			want, err := s.size()
			if err != nil {
				return err
			}
			if m.UncompressedSize64 != want {
				return fmt.Errorf("%d bytes in the file, %d expected", m.UncompressedSize64, want)
			}
			if s.data, s.offset, err = f.member(m, want); err == nil && s.offset >= 0 {
				s.owner = f.m
			}
			return err
		})
	})
	return v, err
}

// member returns the content of a member of at most limit bytes: a part of the mapping, with its offset in the file,
// when it is stored, otherwise private memory and -1.
func (f *torchFile) member(m *zip.File, limit uint64) ([]byte, int64, error) {
	if m.UncompressedSize64 > limit {
		return nil, 0, fmt.Errorf("%d bytes are over the limit of %d", m.UncompressedSize64, limit)
	}
	if m.Method == zip.Store {
		at, err := m.DataOffset()
		if err != nil {
			return nil, 0, err
		}
		all := f.m.Bytes()
		if m.CompressedSize64 != m.UncompressedSize64 || at < 0 || uint64(at) > uint64(len(all)) || m.UncompressedSize64 > uint64(len(all))-uint64(at) {
			return nil, 0, errors.New("reaches beyond the end of the file: truncated file?")
		}
		end := at + int64(m.UncompressedSize64)
		return all[at:end:end], at, nil
	}
	if err := f.spend(m.UncompressedSize64); err != nil {
		return nil, 0, err
	}
	r, err := m.Open()
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = r.Close() }()
	var b bytes.Buffer // grows with the actual data, not with the size that the directory claims
	if _, err := io.Copy(&b, io.LimitReader(r, int64(m.UncompressedSize64)+1)); err != nil {
		return nil, 0, err
	}
	if uint64(b.Len()) != m.UncompressedSize64 {
		return nil, 0, fmt.Errorf("%d bytes unpacked, %d announced", b.Len(), m.UncompressedSize64)
	}
	return b.Bytes(), -1, nil
}
