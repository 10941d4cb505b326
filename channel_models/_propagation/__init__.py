"""Path loss, shadowing and fading by formula."""
