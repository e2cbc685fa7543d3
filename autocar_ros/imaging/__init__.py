"""X-ray frames: reading them (DICOM, pictures), normalising them and finding the vessels in them."""
