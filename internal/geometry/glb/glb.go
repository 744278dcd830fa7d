// Package glb writes meshes as binary glTF 2.0 with upstream's layout: one mesh of one primitive, whose buffer holds
// positions, indexes, texture coordinates, colors, normals, tangents and the textures as PNG, each aligned to four bytes.
package glb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
)

// Numbers of the glTF 2.0 and OpenGL specifications.
const (
	arrayBuffer        = 34962
	elementArrayBuffer = 34963
	floatType          = 5126
	unsignedIntType    = 5125
	linear             = 9729
	clampToEdge        = 33071
	triangles          = 4

	chunkJSON = 0x4E4F534A
	chunkBin  = 0x004E4942
)

// maxBytes is the length that the header of a GLB file can hold.
const maxBytes = math.MaxUint32

// pngLevel is the compression of textures: zlib's default.
const pngLevel = 6

// Write writes item index of a checked mesh. extras, which may be nil, becomes the asset's extras. The item must have
// vertices and faces.
func Write(ctx context.Context, w io.Writer, m *geometry.Mesh, index int, extras *pyjson.Object) error {
	it := &m.Items[index]
	if it.VertexCount() == 0 || it.FaceCount() == 0 {
		return fmt.Errorf("writing glb: item %d has no vertices or faces", index)
	}
	d := document{item: it, attributes: pyjson.NewObject("POSITION", int64(0))}
	d.geometry()
	if err := d.material(ctx, m, index); err != nil {
		return err
	}
	return d.write(ctx, w, extras)
}

// document collects the parts of a file.
type document struct {
	item       *geometry.Item
	blobs      []blob
	offset     int64
	views      []any
	accessors  []any
	attributes *pyjson.Object

	images, textures, samplers, materials, extensions []any
}

// blob is a part of the buffer: numbers or a PNG file.
type blob struct {
	floats []float32
	ints   []int32
	bytes  []byte
}

func (b blob) length() int64 {
	return 4*int64(len(b.floats)+len(b.ints)) + int64(len(b.bytes))
}

// add appends a part and its view; target is 0 for images.
func (d *document) add(b blob, target int64) int64 {
	view := pyjson.NewObject("buffer", int64(0), "byteOffset", d.offset, "byteLength", b.length())
	if target != 0 {
		view.Set("target", target)
	}
	d.views, d.blobs = append(d.views, view), append(d.blobs, b)
	d.offset += (b.length() + 3) &^ 3
	return int64(len(d.views) - 1)
}

func (d *document) geometry() {
	it := d.item
	lo, hi := it.Bounds()
	d.add(blob{floats: it.Vertices}, arrayBuffer)
	d.add(blob{ints: it.Faces}, elementArrayBuffer)
	d.accessors = append(d.accessors,
		accessor(0, floatType, it.VertexCount(), "VEC3").Set("max", numbers(hi)).Set("min", numbers(lo)),
		accessor(1, unsignedIntType, len(it.Faces), "SCALAR"))
	colors := "VEC3"
	if it.Channels == 4 {
		colors = "VEC4"
	}
	d.attribute("TEXCOORD_0", it.UVs, "VEC2")
	d.attribute("COLOR_0", clipped(it.Colors), colors)
	d.attribute("NORMAL", it.Normals, "VEC3")
	d.attribute("TANGENT", it.Tangents, "VEC4")
}

func (d *document) attribute(name string, values []float32, kind string) {
	if len(values) == 0 {
		return
	}
	view := d.add(blob{floats: values}, arrayBuffer)
	d.attributes.Set(name, int64(len(d.accessors)))
	d.accessors = append(d.accessors, accessor(view, floatType, d.item.VertexCount(), kind))
}

func accessor(view int64, component int64, count int, kind string) *pyjson.Object {
	return pyjson.NewObject("bufferView", view, "byteOffset", int64(0), "componentType", component, "count", int64(count), "type", kind)
}

func numbers(v [3]float32) []any { return []any{float64(v[0]), float64(v[1]), float64(v[2])} }

// clipped limits colors to 0…1.
func clipped(values []float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = min(max(v, 0), 1)
	}
	return out
}

// texture embeds an image and returns the index of a texture that uses it.
func (d *document) texture(png []byte) int64 {
	view := d.add(blob{bytes: png}, 0)
	d.images = append(d.images, pyjson.NewObject("bufferView", view, "mimeType", "image/png"))
	if d.samplers == nil {
		d.samplers = []any{pyjson.NewObject("magFilter", int64(linear), "minFilter", int64(linear), "wrapS", int64(clampToEdge), "wrapT", int64(clampToEdge))}
	}
	d.textures = append(d.textures, pyjson.NewObject("source", int64(len(d.images)-1), "sampler", int64(0)))
	return int64(len(d.textures) - 1)
}

func textureInfo(index int64) *pyjson.Object {
	return pyjson.NewObject("index", index, "texCoord", int64(0))
}

// encoded returns item index of a texture stack as a PNG file; nil without a stack.
func encoded(ctx context.Context, t *tensor.Tensor, index int) ([]byte, error) {
	if t == nil {
		return nil, nil
	}
	if index >= t.Shape[0] {
		return nil, fmt.Errorf("writing glb: there is no texture for item %d of the batch, only %d", index, t.Shape[0])
	}
	if t.Shape[3] != 3 {
		return nil, fmt.Errorf("writing glb: a texture has %d channels, want 3", t.Shape[3])
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err := imaging.WritePNG(&b, imaging.ToBytes(t.Index(index).Data), t.Shape[2], t.Shape[1], 3, imaging.PNGOptions{Level: pngLevel})
	return b.Bytes(), err
}

// write writes header, JSON and buffer.
func (d *document) write(ctx context.Context, w io.Writer, extras *pyjson.Object) error {
	text, err := pyjson.Marshal(d.json(extras))
	if err != nil {
		return fmt.Errorf("writing glb: %w", err)
	}
	for len(text)%4 != 0 {
		text = append(text, ' ')
	}
	total := 12 + 8 + int64(len(text)) + 8 + d.offset
	if total > maxBytes {
		return fmt.Errorf("writing glb: the file would have %d bytes, its header holds %d; decimate the mesh or shrink its textures", total, int64(maxBytes))
	}
	head := binary.LittleEndian.AppendUint32([]byte("glTF"), 2)
	head = binary.LittleEndian.AppendUint32(head, uint32(total))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(text)))
	head = binary.LittleEndian.AppendUint32(head, chunkJSON)
	head = append(head, text...)
	head = binary.LittleEndian.AppendUint32(head, uint32(d.offset))
	head = binary.LittleEndian.AppendUint32(head, chunkBin)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, b := range d.blobs {
		if err := b.write(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (b blob) write(ctx context.Context, w io.Writer) error {
	const step = 1 << 14
	buffer := make([]byte, 0, 4*step)
	for rest := b.floats; len(rest) > 0; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := min(step, len(rest))
		buffer = buffer[:0]
		for _, v := range rest[:n] {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		rest = rest[n:]
	}
	for rest := b.ints; len(rest) > 0; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := min(step, len(rest))
		buffer = buffer[:0]
		for _, v := range rest[:n] {
			buffer = binary.LittleEndian.AppendUint32(buffer, uint32(v))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(b.bytes) == 0 {
		return nil
	}
	if _, err := w.Write(b.bytes); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, -len(b.bytes)&3))
	return err
}

func (d *document) json(extras *pyjson.Object) *pyjson.Object {
	asset := pyjson.NewObject("version", "2.0", "generator", "ComfyUI")
	primitive := pyjson.NewObject("attributes", d.attributes, "indices", int64(1), "mode", int64(triangles), "material", int64(0))
	list := func(members ...any) []any { return []any{pyjson.NewObject(members...)} }
	o := pyjson.NewObject("asset", asset,
		"buffers", list("byteLength", d.offset),
		"bufferViews", d.views, "accessors", d.accessors,
		"meshes", list("primitives", []any{primitive}),
		"nodes", list("mesh", int64(0)),
		"scenes", list("nodes", []any{int64(0)}),
		"scene", int64(0))
	for _, part := range []struct {
		name string
		list []any
	}{{"images", d.images}, {"samplers", d.samplers}, {"textures", d.textures}, {"materials", d.materials}, {"extensionsUsed", d.extensions}} {
		if len(part.list) > 0 {
			o.Set(part.name, part.list)
		}
	}
	if extras != nil && extras.Len() > 0 {
		asset.Set("extras", extras)
	}
	return o
}
