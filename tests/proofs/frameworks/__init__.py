"""The applications of the how-tos for web frameworks and workers: started as the pages say, loaded, and stopped."""
