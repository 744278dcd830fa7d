package codec

// Steps of the server that decode images. Each has an estimate of the bytes that it holds at its peak, the file included.
// tools/imagememory measures them for every format.

// small is what a step takes whatever the size of the image.
const small = 1 << 20

// pixels is the number of pixels of a frame.
func (i Info) pixels() int64 { return int64(i.Width) * int64(i.Height) }

// LoadBytes is what LoadImage holds: the file, the decoder's memory, and float32 tensors of all frames with their masks.
func (f *File) LoadBytes() int64 {
	values := int64(3)
	if f.Layout.Alpha() {
		values++
	}
	tensors := f.pixels() * values * 4 * int64(f.Frames)
	if f.Frames > 1 { // they are there when the second frame is decoded
		return f.held(max(f.Working, f.Transient) + tensors)
	}
	return f.held(max(f.Transient, f.Working+tensors))
}

// FrameBytes is what making something of the first frame holds: the file, the decoder's memory, bytes beside it that are
// there all the time, and extra ones that are taken once the frame is decoded.
func (f *File) FrameBytes(beside, extra int64) int64 {
	return f.held(beside + max(f.Transient, f.Working+extra))
}

// held adds the file.
func (f *File) held(bytes int64) int64 { return small + int64(len(f.data)) + bytes }
