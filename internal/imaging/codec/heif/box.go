package heif

import (
	"encoding/binary"
	"errors"
)

// box is a part of an ISO base media file: where it begins in the file, and its contents.
type box struct {
	kind string
	at   int // of the contents
	body []byte
}

// boxes calls visit for the boxes of data, which lie at base in the file, as far as they are there.
func boxes(data []byte, base int, visit func(box)) {
	for at := 0; at+8 <= len(data); {
		size, head := int64(binary.BigEndian.Uint32(data[at:])), 8
		switch {
		case size == 0:
			size = int64(len(data) - at)
		case size == 1 && at+16 <= len(data):
			size, head = int64(min(binary.BigEndian.Uint64(data[at+8:]), 1<<62)), 16
		}
		if size < int64(head) {
			return
		}
		end := min(int64(at)+size, int64(len(data)))
		visit(box{string(data[at+4 : at+8]), base + at + head, data[at+head : end]})
		at = int(end)
	}
}

// full cuts version and flags off a box that has them.
func (b box) full() (version byte, rest box) {
	if len(b.body) < 4 {
		return 0, box{}
	}
	return b.body[0], box{b.kind, b.at + 4, b.body[4:]}
}

// number reads n bytes as a number and cuts them off, or returns zero if they are missing.
func (b *box) number(n int) int {
	v := 0
	for range n {
		if len(b.body) == 0 {
			return 0
		}
		v = v<<8 | int(b.body[0])
		b.body = b.body[1:]
	}
	return v
}

// image is a file's description of its primary item or first track.
type image struct {
	width, height int
	deep          bool // more than 8 bits a sample
	orientation   int
	aux           []int // where the types of references to auxiliary images lie
}

// brands are those of ftyp.
func brands(data []byte) (out []string) {
	boxes(data[:min(len(data), 512)], 0, func(b box) {
		if b.kind != "ftyp" || out != nil {
			return
		}
		for i := 0; i+4 <= len(b.body); i += 4 {
			if i != 4 { // the version of the first
				out = append(out, string(b.body[i:i+4]))
			}
		}
	})
	return out
}

var errNoImage = errors.New("there is no image in it")

// read finds the primary image of a file, or the first track of a sequence.
func read(data []byte) (*image, error) {
	var img *image
	var aux []int
	boxes(data, 0, func(b box) {
		switch b.kind {
		case "meta":
			if img == nil {
				_, rest := b.full()
				img = readMeta(rest)
			}
		case "moov":
			if img == nil {
				img = readTrack(b)
			}
			aux = append(aux, auxiliaryTracks(b)...)
		}
	})
	if img == nil || img.width < 1 || img.height < 1 {
		return nil, errNoImage
	}
	img.aux = append(img.aux, aux...)
	return img, nil
}

// property is one of ipco.
type property struct {
	kind string
	body box
}

func readMeta(meta box) *image {
	img := &image{orientation: 1}
	primary := -1
	var properties []property
	var associations box
	var wide, long bool
	boxes(meta.body, meta.at, func(b box) {
		switch b.kind {
		case "pitm":
			version, rest := b.full()
			primary = rest.number(2 + 2*int(min(version, 1)))
		case "iref":
			_, rest := b.full()
			boxes(rest.body, rest.at, func(r box) {
				if r.kind == "auxl" {
					img.aux = append(img.aux, r.at-4)
				}
			})
		case "iprp":
			boxes(b.body, b.at, func(p box) {
				switch p.kind {
				case "ipco":
					boxes(p.body, p.at, func(q box) { properties = append(properties, property{q.kind, q}) })
				case "ipma":
					if len(p.body) >= 4 && associations.body == nil {
						version, rest := p.full()
						wide, long, associations = p.body[3]&1 != 0, version > 0, rest
					}
				}
			})
		}
	})
	for _, i := range associated(associations, primary, wide, long) {
		if i >= 1 && i <= len(properties) {
			img.apply(properties[i-1])
		}
	}
	return img
}

// associated lists the properties of an item by their numbers from 1.
func associated(b box, item int, wide, long bool) (out []int) {
	const idBytes, longBytes = 2, 4
	size := idBytes
	if long {
		size = longBytes
	}
	for n := b.number(4); n > 0 && len(b.body) > 0; n-- {
		id := b.number(size)
		for k := b.number(1); k > 0 && len(b.body) > 0; k-- {
			v := 0
			if wide {
				v = b.number(2) & 0x7fff
			} else {
				v = b.number(1) & 0x7f
			}
			if id == item {
				out = append(out, v)
			}
		}
	}
	return out
}

// turns are EXIF's orientations of rotations by quarters against the clock.
var turns = [4]int{1, 8, 3, 6}

func (img *image) apply(p property) {
	b := p.body
	switch p.kind {
	case "ispe":
		_, b = b.full()
		img.width, img.height = b.number(4), b.number(4)
	case "irot":
		img.orientation = turns[b.number(1)&3]
	case "imir":
		if img.orientation == 1 {
			img.orientation = 4 - 2*(b.number(1)&1)
		}
	case "pixi":
		_, b = b.full()
		for n := b.number(1); n > 0; n-- {
			img.deep = img.deep || b.number(1) > 8
		}
	case "av1C":
		if len(b.body) > 2 {
			img.deep = img.deep || b.body[2]&0x40 != 0
		}
	}
}

// readTrack finds the size of the first track that has one.
func readTrack(moov box) (img *image) {
	boxes(moov.body, moov.at, func(t box) {
		if t.kind != "trak" || img != nil {
			return
		}
		boxes(t.body, t.at, func(b box) {
			if n := len(b.body); b.kind == "tkhd" && n >= 8 {
				w, h := int(binary.BigEndian.Uint32(b.body[n-8:])>>16), int(binary.BigEndian.Uint32(b.body[n-4:])>>16)
				if w > 0 && h > 0 {
					img = &image{width: w, height: h, orientation: 1}
				}
			}
		})
	})
	return img
}

// auxiliaryTracks finds where tracks say that they belong to another one.
func auxiliaryTracks(moov box) (out []int) {
	boxes(moov.body, moov.at, func(t box) {
		if t.kind != "trak" {
			return
		}
		boxes(t.body, t.at, func(b box) {
			if b.kind != "tref" {
				return
			}
			boxes(b.body, b.at, func(r box) {
				if r.kind == "auxl" {
					out = append(out, r.at-4)
				}
			})
		})
	})
	return out
}
