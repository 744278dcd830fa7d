package codec

// Steps of the server that decode images. Each has an estimate of the bytes that it holds at its peak, the file included.
// tools/imagememory measures them for every format.

// small is the memory of a step independent of the size of the image.
const small = 1 << 20

// pixels is the number of pixels of a frame.
func (i Info) pixels() int64 { return int64(i.Width) * int64(i.Height) }

// LoadBytes returns the memory of LoadImage: the file, the decoder's memory, and float32 tensors of all frames with their
// masks.
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

// FrameBytes returns the memory for processing the first frame: the file, the decoder's memory, bytes that are held all
// the time, and extra ones that are allocated once the frame is decoded.
func (f *File) FrameBytes(beside, extra int64) int64 {
	return f.held(beside + max(f.Transient, f.Working+extra))
}

// held adds the file.
func (f *File) held(bytes int64) int64 { return small + int64(len(f.data)) + bytes }
