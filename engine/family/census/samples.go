package census

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/weights"
)

//go:embed samples.txt.gz
var packed []byte

// Sample is a small model of one of upstream's families: names, types and shapes of its tensors.
type Sample struct {
	// Name is the name of its manifest, Class the upstream class that ComfyUI detects.
	Name, Class string
	// Forward, Modules and Workflows count the goldens that ran on it, Stored lists the forms of its matrices.
	Forward, Modules, Workflows int
	Stored                      []string
	// Tensors are its tensors; those of scalars have zeros as data.
	Tensors []weights.Entry
}

// Source shows the sample as a file.
func (s Sample) Source() weights.Source { return dryrun.Described(s.Tensors) }

// Samples returns the samples by name.
var Samples = sync.OnceValues(func() ([]Sample, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the samples: %w", err)
	}
	var out []Sample
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		if err := read(&out, lines.Text()); err != nil {
			return nil, fmt.Errorf("reading the samples: %q: %w", lines.Text(), err)
		}
	}
	return out, lines.Err()
})

// mark begins the line of a sample; those of its tensors follow.
const mark = "= "

// read reads a line.
func read(to *[]Sample, line string) error {
	words := strings.Fields(line)
	if rest, ok := strings.CutPrefix(line, mark); ok {
		var s Sample
		var stored string
		if _, err := fmt.Sscan(rest, &s.Name, &s.Class, &s.Forward, &s.Modules, &s.Workflows, &stored); err != nil {
			return err
		}
		s.Stored = strings.Split(stored, ",")
		*to = append(*to, s)
		return nil
	}
	if len(words) < 2 || len(*to) == 0 {
		return fmt.Errorf("a tensor has a name and a type")
	}
	t, ok := dtype.Parse(words[1])
	if !ok {
		return fmt.Errorf("there is no type %s", words[1])
	}
	e := weights.Entry{Name: words[0], DType: t, TypeName: words[1], File: (*to)[len(*to)-1].Name}
	for _, w := range words[2:] {
		n, err := strconv.Atoi(w)
		if err != nil {
			return fmt.Errorf("the size %s is no number", w)
		}
		e.Shape = append(e.Shape, n)
	}
	if len(e.Shape) == 0 || e.Count() <= 1 {
		e.Data = make([]byte, e.Count()*t.Size())
	}
	last := &(*to)[len(*to)-1]
	last.Tensors = append(last.Tensors, e)
	return nil
}

func (s Sample) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s%s %s %d %d %d %s\n", mark, s.Name, s.Class, s.Forward, s.Modules, s.Workflows, strings.Join(s.Stored, ","))
	for _, t := range s.Tensors {
		fmt.Fprint(b, t.Name, " ", t.DType)
		for _, d := range t.Shape {
			fmt.Fprint(b, " ", d)
		}
		b.WriteByte('\n')
	}
}

// Pack writes samples as the package carries them.
func Pack(samples []Sample) ([]byte, error) {
	var text, out bytes.Buffer
	for _, s := range samples {
		s.write(&text)
	}
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(text.Bytes())
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("packing the samples: %w", err)
	}
	return out.Bytes(), nil
}
