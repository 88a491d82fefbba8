package report

// Pictures finds the pictures of images.
type Pictures interface{}

func (l *loader) addPictures(p Pictures) error { return nil }
