package folders

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SavePath is the path of a saved file: Dir/Filename_NNNNN_.ext with NNNNN counted from Counter.
type SavePath struct {
	// Dir is the absolute folder; it exists.
	Dir string
	// Filename is the first part of the name; it may still hold %batch_num%.
	Filename string
	// Counter is one more than the highest number of that name in Dir, at least 1.
	Counter int
	// Subfolder is Dir relative to the requested folder, or "" if it is the same.
	Subfolder string
	// Prefix is the given prefix with its size and time tokens replaced.
	Prefix string
	// Bare leaves out the "_" behind the number, as upstream's classes for texts, audio and 3D files do.
	Bare bool

	base    string // the base folder of Dir
	numbers *numbering
	remote  *Folders  // nil without a store
	changed time.Time // when Dir had changed before what we write to it
}

// Name returns the name of the n-th file of a batch (from 0) that has the given ending, and replaces %batch_num%.
func (s SavePath) Name(n int, ext string) string {
	base := strings.ReplaceAll(s.Filename, "%batch_num%", strconv.Itoa(n))
	if s.Bare {
		return fmt.Sprintf("%s_%05d%s", base, s.Counter+n, ext)
	}
	return fmt.Sprintf("%s_%05d_%s", base, s.Counter+n, ext)
}

// ErrOutside means that a prefix leads out of the folder that it belongs to.
var ErrOutside = errors.New("it would save outside of the folder")

// maxCounter keeps a file with an absurd number in its name from breaking the count.
const maxCounter = 1 << 50

// SavePath picks folder and number for files that are to be saved below dir under a prefix. The prefix may name
// subfolders, which are made, and hold the tokens %width%, %height%, %year%, %month%, %day%, %hour%, %minute% and
// %second%. It fails with ErrOutside when the prefix
// leads outside dir.
func (f *Folders) SavePath(prefix, dir string, width, height int) (SavePath, error) {
	prefix = expandTokens(prefix, f.now(), width, height)
	clean := filepath.Clean(prefix)
	s := SavePath{Filename: filepath.Base(clean), Subfolder: filepath.Dir(clean), Prefix: prefix}
	if s.Subfolder == "." {
		s.Subfolder = ""
	}
	full, err := Join(dir, s.Subfolder)
	if err != nil {
		return SavePath{}, fmt.Errorf("choosing a file name: prefix %q in %s: %w", prefix, dir, ErrOutside)
	}
	s.Dir, s.base, s.numbers = full, dir, &f.numbers
	open, err := MakeDir(dir, full)
	if err != nil {
		return SavePath{}, err
	}
	s.Counter, s.changed, err = f.numbers.next(open, s.Filename)
	if err = errors.Join(err, open.Close()); err != nil {
		return SavePath{}, fmt.Errorf("reading folder %s: %w", full, err)
	}
	if f.remote != nil {
		s.remote = f
		next, err := f.remote.nextNumber(f.during(), f, full, s.Filename, false)
		if err != nil {
			return SavePath{}, fmt.Errorf("choosing a file name: %w", err)
		}
		s.Counter = max(s.Counter, next)
	}
	return s, nil
}

// counterOf returns the number in a name such as prefix_00012_.png, or 0 if the place of the number holds something
// else.
func counterOf(name, prefix string) (int, bool) {
	rest, ok := strings.CutPrefix(name, prefix+"_")
	if !ok {
		return 0, false
	}
	rest, _, _ = strings.Cut(rest, ".")
	rest, _, _ = strings.Cut(rest, "_")
	n, err := strconv.Atoi(strings.TrimSpace(rest))
	if err != nil {
		return 0, true
	}
	return n, true
}

func expandTokens(s string, now time.Time, width, height int) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.NewReplacer(
		"%width%", strconv.Itoa(width), "%height%", strconv.Itoa(height),
		"%year%", strconv.Itoa(now.Year()), "%month%", fmt.Sprintf("%02d", int(now.Month())),
		"%day%", fmt.Sprintf("%02d", now.Day()), "%hour%", fmt.Sprintf("%02d", now.Hour()),
		"%minute%", fmt.Sprintf("%02d", now.Minute()), "%second%", fmt.Sprintf("%02d", now.Second()),
	).Replace(s)
}
