# Include folders that CMake refuses to put into an exported target. Include after rosidl_generate_interfaces().

# The ROS 2 wheels name folders of the machine that built them (/opt/python/...): drop these from every imported
# target. In an ordinary ROS installation there is nothing to drop.
get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(_target IN LISTS _targets)
  get_target_property(_includes ${_target} INTERFACE_INCLUDE_DIRECTORIES)
  if(_includes)
    list(FILTER _includes EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_includes}")
  endif()
endforeach()

# The generated Python library carries numpy's headers, which lie inside this source tree when the virtual
# environment does (.venv). Only this build needs them.
set(_target ${PROJECT_NAME}__rosidl_generator_py)
get_target_property(_includes ${_target} INTERFACE_INCLUDE_DIRECTORIES)
list(TRANSFORM _includes REPLACE "^/.*$" "$<BUILD_INTERFACE:\\0>")
set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_includes}")
