package onnx

import (
	"fmt"
	"math"
	"sort"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"comfygo/engine/dtype"
)

// Field numbers of onnx.proto3, by message.
const (
	modelIRVersion, modelProducer, modelGraph, modelOpset = 1, 2, 7, 8
	opsetDomain, opsetVersion                             = 1, 2
	graphNode, graphName, graphInit, graphIn, graphOut    = 1, 2, 5, 11, 12
	nodeIn, nodeOut, nodeName, nodeOp, nodeAttr, nodeDom  = 1, 2, 3, 4, 5, 7
	attrName, attrF, attrI, attrS, attrInts, attrType     = 1, 2, 3, 4, 8, 20
	tensorDims, tensorType, tensorName, tensorRaw         = 1, 2, 8, 9
	tensorExternal, tensorLocation                        = 13, 14
	entryKey, entryValue                                  = 1, 2
	infoName, infoType                                    = 1, 2
	typeTensor, typeElem, typeShape                       = 1, 1, 2
	shapeDim, dimValue, dimParam                          = 1, 1, 2
)

// irVersion is the ONNX IR version that models declare; ONNX Runtime 1.24 and later read it.
const irVersion = 10

// locationExternal is TensorProto.DataLocation.EXTERNAL.
const locationExternal = 1

// The values of AttributeProto.AttributeType in use.
const (
	typeFloat, typeInt, typeString, typeInts = 1, 2, 3, 7
)

// elemType is TensorProto.DataType of an element type.
func elemType(t dtype.DType) int {
	switch t {
	case dtype.F32:
		return 1
	case dtype.U8:
		return 2
	case dtype.I8:
		return 3
	case dtype.I16:
		return 5
	case dtype.I32:
		return 6
	case dtype.I64:
		return 7
	case dtype.Bool:
		return 9
	case dtype.F16:
		return 10
	case dtype.F64:
		return 11
	case dtype.BF16:
		return 16
	case dtype.F8E4M3:
		return 17
	case dtype.F8E5M2:
		return 19
	}
	return 0
}

// Placement is the location of an initializer's bytes: in the model itself (Inline), or in a file below the session's
// external-data folder.
type Placement struct {
	Inline         []byte
	Location       string
	Offset, Length int64
}

// Marshal writes the model. For each initializer, place returns the location of its bytes.
func (g *Graph) Marshal(place func(Initializer) (Placement, error)) ([]byte, error) {
	graph, err := g.marshalGraph(place)
	if err != nil {
		return nil, err
	}
	var b []byte
	b = varint(b, modelIRVersion, irVersion)
	b = str(b, modelProducer, "comfygo")
	b = msg(b, modelGraph, graph)
	domains := make([]string, 0, len(g.domains))
	for d := range g.domains {
		domains = append(domains, d)
	}
	sort.Strings(domains)
	for _, d := range domains {
		b = msg(b, modelOpset, varint(str(nil, opsetDomain, d), opsetVersion, uint64(g.version(d))))
	}
	return b, nil
}

// version is the version of a domain's operators.
func (g *Graph) version(domain string) int {
	if domain == DomainONNX {
		return g.opset
	}
	return 1
}

// nameOf is the name by which a node refers to an input; an omitted one has none.
func nameOf(v *Value) string {
	if v == nil {
		return ""
	}
	return v.Name
}

func (g *Graph) marshalGraph(place func(Initializer) (Placement, error)) ([]byte, error) {
	var b []byte
	for i := range g.nodes {
		b = msg(b, graphNode, g.nodes[i].marshal(i))
	}
	b = str(b, graphName, g.Name)
	for _, c := range g.consts {
		t := tensorHeader(c.name, c.dtype, c.dims)
		t = protowire.AppendTag(t, tensorRaw, protowire.BytesType)
		b = msg(b, graphInit, protowire.AppendBytes(t, c.raw))
	}
	for _, in := range g.inits {
		p, err := place(in)
		if err != nil {
			return nil, fmt.Errorf("placing weight %s of graph %s: %w", in.Name, g.Name, err)
		}
		b = msg(b, graphInit, in.marshal(p))
	}
	for _, v := range g.inputs {
		b = msg(b, graphIn, v.marshal())
	}
	for _, p := range g.params {
		b = msg(b, graphIn, p.marshal())
	}
	for _, v := range g.outputs {
		b = msg(b, graphOut, v.marshal())
	}
	return b, nil
}

func (in Initializer) marshal(p Placement) []byte {
	t := tensorHeader(in.Name, in.DType, in.Shape)
	if p.Inline != nil {
		return protowire.AppendBytes(protowire.AppendTag(t, tensorRaw, protowire.BytesType), p.Inline)
	}
	t = msg(t, tensorExternal, str(str(nil, entryKey, "location"), entryValue, p.Location))
	t = msg(t, tensorExternal, str(str(nil, entryKey, "offset"), entryValue, strconv.FormatInt(p.Offset, 10)))
	t = msg(t, tensorExternal, str(str(nil, entryKey, "length"), entryValue, strconv.FormatInt(p.Length, 10)))
	return varint(t, tensorLocation, locationExternal)
}

func tensorHeader(name string, t dtype.DType, dims []int) []byte {
	var b []byte
	for _, d := range dims {
		b = varint(b, tensorDims, uint64(d))
	}
	b = varint(b, tensorType, uint64(elemType(t)))
	return str(b, tensorName, name)
}

func (n *node) marshal(i int) []byte {
	var b []byte
	for _, v := range n.in {
		b = str(b, nodeIn, nameOf(v))
	}
	for _, v := range n.out {
		b = str(b, nodeOut, nameOf(v))
	}
	b = str(b, nodeName, fmt.Sprintf("n%d_%s", i, n.op))
	b = str(b, nodeOp, n.op)
	for _, a := range n.attrs {
		b = msg(b, nodeAttr, a.marshal())
	}
	if n.domain != "" {
		b = str(b, nodeDom, n.domain)
	}
	return b
}

func (a attr) marshal() []byte {
	b := str(nil, attrName, a.name)
	switch v := a.val.(type) {
	case int64:
		b = varint(varint(b, attrI, uint64(v)), attrType, typeInt)
	case float32:
		b = protowire.AppendTag(b, attrF, protowire.Fixed32Type)
		b = varint(protowire.AppendFixed32(b, math.Float32bits(v)), attrType, typeFloat)
	case string:
		b = varint(str(b, attrS, v), attrType, typeString)
	case []int64:
		for _, n := range v {
			b = varint(b, attrInts, uint64(n))
		}
		b = varint(b, attrType, typeInts)
	default:
		panic(fmt.Sprintf("onnx: attribute %s has type %T", a.name, a.val))
	}
	return b
}

func (v *Value) marshal() []byte {
	var shape []byte
	for _, d := range v.Shape {
		if d.Known() {
			shape = msg(shape, shapeDim, varint(nil, dimValue, uint64(d.N)))
		} else {
			shape = msg(shape, shapeDim, str(nil, dimParam, d.String()))
		}
	}
	t := msg(varint(nil, typeElem, uint64(elemType(v.DType))), typeShape, shape)
	return msg(str(nil, infoName, v.Name), infoType, msg(nil, typeTensor, t))
}

func varint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func str(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func msg(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}
