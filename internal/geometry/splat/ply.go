package splat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"comfygo/internal/geometry"
)

// property is a column of a PLY file's vertices.
type property struct {
	name, kind string
	at         int // bytes from the record's begin
}

var plySizes = map[string]int{
	"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8,
	"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8,
}

// value reads a property of a record.
func (p property) value(record []byte) float32 {
	b := record[p.at:]
	switch p.kind {
	case "char", "int8":
		return float32(int8(b[0])) //nolint:gosec // that is the type
	case "uchar", "uint8":
		return float32(b[0])
	case "short", "int16":
		return float32(int16(binary.LittleEndian.Uint16(b))) //nolint:gosec // that is the type
	case "ushort", "uint16":
		return float32(binary.LittleEndian.Uint16(b))
	case "int", "int32":
		return float32(int32(binary.LittleEndian.Uint32(b))) //nolint:gosec // that is the type
	case "uint", "uint32":
		return float32(binary.LittleEndian.Uint32(b))
	case "double", "float64":
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}

// plyTable are the vertices of a file.
type plyTable struct {
	count, stride int
	properties    map[string]property
	body          []byte
}

// maxHeader bounds a header; 63 coefficients take 3 KiB.
const maxHeader = 1 << 20

func plyHeader(data []byte) (*plyTable, error) {
	const mark = "end_header"
	end := bytes.Index(data[:min(len(data), maxHeader)], []byte(mark))
	if end < 0 {
		return nil, errors.New("there is no end_header")
	}
	t := &plyTable{properties: map[string]property{}}
	body := data[end+len(mark):]
	if bytes.HasPrefix(body, []byte("\r\n")) {
		t.body = body[2:]
	} else {
		t.body = body[min(1, len(body)):]
	}
	inVertex := false
	for line := range strings.Lines(string(data[:end])) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if (words[0] == "format" && len(words) < 2) || (words[0] == "element" && len(words) < 3) || (words[0] == "property" && inVertex && len(words) < 3) {
			return nil, fmt.Errorf("the header has the line %q", strings.TrimSpace(line))
		}
		var err error
		switch words[0] {
		case "format":
			if words[1] != "binary_little_endian" {
				err = fmt.Errorf("its format is %q, want binary_little_endian", words[1])
			}
		case "element":
			if inVertex = words[1] == "vertex"; inVertex {
				if t.count, err = strconv.Atoi(words[2]); err != nil || t.count < 0 {
					err = fmt.Errorf("it says that there are %q vertices", words[2])
				}
			}
		case "property":
			if inVertex {
				err = t.add(words[1], words[2])
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if t.stride == 0 {
		return nil, errors.New("its vertices have no properties")
	}
	if t.count > len(t.body)/t.stride {
		return nil, fmt.Errorf("it ends early: there are %d bytes for %d vertices of %d", len(t.body), t.count, t.stride)
	}
	return t, nil
}

func (t *plyTable) add(kind, name string) error {
	size := plySizes[kind]
	if size == 0 {
		return fmt.Errorf("its vertices have a property of the type %q", kind)
	}
	if _, twice := t.properties[name]; twice {
		return fmt.Errorf("its vertices have the property %q twice", name)
	}
	t.properties[name] = property{name, kind, t.stride}
	t.stride += size
	return nil
}

// has reports whether there is a property.
func (t *plyTable) has(name string) bool { _, ok := t.properties[name]; return ok }

// columns returns properties that have to be there.
func (t *plyTable) columns(names ...string) ([]property, error) {
	var out []property
	for _, name := range names {
		p, ok := t.properties[name]
		if !ok {
			return nil, fmt.Errorf("its vertices have no property %q", name)
		}
		out = append(out, p)
	}
	return out, nil
}

// rest returns the properties f_rest_0, f_rest_1 … in the order of their numbers.
func (t *plyTable) rest() ([]property, error) {
	var out []property
	numbers := map[string]int{}
	for name, p := range t.properties {
		tail, ok := strings.CutPrefix(name, "f_rest_")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(tail[strings.LastIndexByte(tail, '_')+1:])
		if err != nil {
			return nil, fmt.Errorf("its vertices have the property %q", name)
		}
		numbers[name] = n
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b property) int {
		if d := numbers[a.name] - numbers[b.name]; d != 0 {
			return d
		}
		return a.at - b.at
	})
	if len(out)%3 != 0 {
		return nil, fmt.Errorf("its vertices have %d coefficients f_rest, which is not a multiple of 3", len(out))
	}
	return out, nil
}

// readPLY reads the usual PLY of Gaussian splats: logarithms of scales, opacities as logits, coefficients by channel. A point
// cloud with colors gets small round Gaussians.
func readPLY(ctx context.Context, data []byte, reserve Reserve) (geometry.SplatItem, error) {
	t, err := plyHeader(data)
	if err != nil {
		return geometry.SplatItem{}, err
	}
	position, err := t.columns("x", "y", "z")
	if err != nil {
		return geometry.SplatItem{}, err
	}
	var scale, rotation, color, rest []property
	for _, group := range []struct {
		to    *[]property
		names []string
	}{
		{&scale, []string{"scale_0", "scale_1", "scale_2"}},
		{&rotation, []string{"rot_0", "rot_1", "rot_2", "rot_3"}},
		{&color, []string{"f_dc_0", "f_dc_1", "f_dc_2"}},
	} {
		if t.has(group.names[0]) {
			if *group.to, err = t.columns(group.names...); err != nil {
				return geometry.SplatItem{}, err
			}
		}
	}
	harmonics := color != nil
	if harmonics {
		rest, err = t.rest()
	} else if t.has("red") {
		color, err = t.columns("red", "green", "blue")
	}
	if err != nil {
		return geometry.SplatItem{}, err
	}
	it, err := newItem(t.count, len(rest)/3+1, reserve)
	if err != nil {
		return geometry.SplatItem{}, err
	}
	opacity, hasOpacity := t.properties["opacity"]
	return it, geometry.Each(ctx, t.count, func(i int) {
		r := t.body[i*t.stride : (i+1)*t.stride]
		for a, p := range position {
			it.Positions[3*i+a] = p.value(r)
		}
		const pointSize = 0.01
		for a := range 3 {
			it.Scales[3*i+a] = pointSize
		}
		for a, p := range scale {
			it.Scales[3*i+a] = exp32(p.value(r))
		}
		q := it.Rotations[4*i : 4*i+4]
		q[0] = 1
		for a, p := range rotation {
			q[a] = p.value(r)
		}
		if rotation != nil {
			unit(q)
		}
		it.Opacities[i] = 1
		if hasOpacity {
			it.Opacities[i] = 1 / (1 + exp32(-opacity.value(r)))
		}
		sh := it.SH[3*it.K*i : 3*it.K*(i+1)]
		for c, p := range color {
			if sh[c] = p.value(r); !harmonics {
				sh[c] = base(sh[c] / 255)
			}
		}
		for j, p := range rest { // channel by channel in the file
			c, k := j/(it.K-1), j%(it.K-1)
			sh[3*(k+1)+c] = p.value(r)
		}
	})
}

// writePLY writes what readPLY reads, with normals of 0.
func writePLY(ctx context.Context, it *geometry.SplatItem) ([]byte, error) {
	n, others := it.Count(), 3*(it.K-1)
	names := []string{"x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"}
	for i := range others {
		names = append(names, "f_rest_"+strconv.Itoa(i))
	}
	names = append(names, "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
	out := fmt.Appendf(nil, "ply\nformat binary_little_endian 1.0\nelement vertex %d\n", n)
	for _, name := range names {
		out = fmt.Appendf(out, "property float %s\n", name)
	}
	out = append(out, "end_header\n"...)
	out = slices.Grow(out, 4*len(names)*n)
	add := func(values ...float32) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	err := geometry.Each(ctx, n, func(i int) {
		add(it.Positions[3*i : 3*i+3]...)
		add(0, 0, 0)
		sh := it.SH[3*it.K*i : 3*it.K*(i+1)]
		add(sh[:3]...)
		for c := range 3 {
			for k := 1; k < it.K; k++ {
				add(sh[3*k+c])
			}
		}
		const least, smallest = 1e-6, 1e-8
		o := min(max(it.Opacities[i], least), 1-least)
		add(log32(o / (1 - o)))
		for _, s := range it.Scales[3*i : 3*i+3] {
			add(log32(max(s, smallest)))
		}
		add(it.Rotations[4*i : 4*i+4]...)
	})
	return out, err
}

func log32(v float32) float32 { return float32(math.Log(float64(v))) }
