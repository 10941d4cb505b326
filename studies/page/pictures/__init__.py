"""Pictures of the page as SVG, whose colours the style sheet decides."""
