"""The chapter on the data: tables, figures and heat maps of a cell type before any model::

    show_figure(figures.class_profiles({"gene": tables.mean_profiles(dataset)}), ...)
"""
